"""What a job stages for its workers: this package as it is installed here, and the user's own tower.

Promises: a worker that has Beam and shares no disk with the launcher can embed; whoever installed this package by pip
needs no source tree. Two wheels at most, which Beam hands to the workers as extra packages; their metadata says what
else to install, so that one resolution finds versions that fit together. Nothing is downloaded or built here, nothing
is staged that the user stages or has in an image, and the user's own packages and requirements are left alone.
"""

import importlib.metadata
import importlib.util
import pathlib
import re
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, WorkerOptions

from lit_precompute.pipelines.engines.requirements import PACKAGE, Accelerator, requirements
from lit_precompute.pipelines.engines.user_modules import find_user_modules
from lit_precompute.pipelines.engines.wheels import write_wheel
from lit_precompute.towers.registry import module_of
from lit_precompute.towers.weights.cache import staged_packages_folder

_FACE = PACKAGE.replace("-", "_")
# Installed inside the package, wherever an editable install keeps them.
_PARTS = ("schemas", "towers", "precompute", "pipelines", "tune")
_USERS = "lit-precompute-user-modules"
_NAMED = re.compile(r"lit[-_.]precompute\b(?![-_.]user)", re.IGNORECASE)


def staging_flags(
    beam_flags: Sequence[str],
    *,
    tower: str,
    other_towers: Sequence[str] = (),
    urls: Sequence[str] = (),
    accelerator: Accelerator = "cpu",
    is_installed: bool = True,
) -> list[str]:
    """Returns the flags to add so that workers elsewhere can import this package and the user's tower.

    Args:
      beam_flags: Beam's pipeline options, as the user gave them.
      tower: the tower's name; of `module:name`, the module is staged.
      other_towers: names of others that the same job embeds with.
      urls: what the workers open: each store needs its driver.
      accelerator: what the workers embed on.
      is_installed: whether workers install what is staged; if not, nothing is.

    Raises:
      ValueError: the tower's module cannot be staged.
    """
    setup = PipelineOptions(list(beam_flags)).view_as(SetupOptions)
    has_image = bool(setup.view_as(WorkerOptions).sdk_container_image)
    wheels = []
    if is_installed and not has_image and not _is_staged_by_user(setup):
        wheels.append(package_wheel(requirements(accelerator, urls)))
    modules = dict.fromkeys(module for name in (tower, *other_towers) if (module := module_of(name)))
    own = [module for module in modules if not _is_below(setup.setup_file, module)]
    if is_installed and own:
        wheels.append(module_wheel(own, with_requirements=not has_image))
    flags = [f"--extra_package={wheel}" for wheel in wheels]
    if setup.save_main_session is None:
        # Beam would pickle the launcher's __main__, a notebook's too, for functions that only it has. Ours are modules.
        flags.append("--no_save_main_session")
    return flags


def package_wheel(requires: Sequence[str], folder: pathlib.Path | None = None) -> pathlib.Path:
    """Returns a wheel of this package as it is installed here, which requires these distributions.

    Args:
      requires: the requirements.
      folder: where the wheel is kept; by default in the cache.
    """
    distribution = importlib.metadata.distribution(PACKAGE)
    return write_wheel(
        folder or staged_packages_folder(),
        name=PACKAGE,
        version=distribution.version,
        files=dict(_own_files()),
        requires=requires,
        requires_python=distribution.metadata["Requires-Python"],
    )


def module_wheel(
    modules: Sequence[str], *, with_requirements: bool = True, folder: pathlib.Path | None = None
) -> pathlib.Path:
    """Returns a wheel of the user's modules with the user's other modules that they import.

    Args:
      modules: their dotted names.
      with_requirements: whether packages that they import are installed, too.
      folder: where the wheel is kept; by default in the cache.

    Raises:
      ValueError: one cannot be staged.
    """
    found = [find_user_modules(module) for module in modules]
    files = {name: path for each in found for name, path in each.files.items()}
    requires = sorted({each for one in found for each in one.requires}) if with_requirements else []
    return write_wheel(folder or staged_packages_folder(), name=_USERS, version="0", files=files, requires=requires)


def _own_files() -> Iterator[tuple[str, pathlib.Path]]:
    for name in (_FACE, *(f"{_FACE}.{part}" for part in _PARTS)):
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.submodule_search_locations, name
        root = pathlib.Path(next(iter(spec.submodule_search_locations)))
        for path in root.rglob("*"):
            place = path.relative_to(root)
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in place.parts):
                yield f"{name.replace('.', '/')}/{place.as_posix()}", path


def _is_staged_by_user(setup: SetupOptions) -> bool:
    """Returns whether the user's own flags install this package on the workers."""
    names = [pathlib.PurePath(package).name for package in setup.extra_packages or []]
    if setup.setup_file and (pathlib.Path(setup.setup_file).parent / _FACE / "__init__.py").exists():
        return True
    if setup.requirements_file and pathlib.Path(setup.requirements_file).is_file():
        names += pathlib.Path(setup.requirements_file).read_text(encoding="utf-8").splitlines()
    return any(_NAMED.match(name.strip()) for name in names)


def _is_below(setup_file: str | None, module: str) -> bool:
    """Returns whether a module belongs to the project that the user stages by its setup file."""
    if not setup_file:
        return False
    spec = importlib.util.find_spec(module.partition(".")[0])
    places = [*(spec.submodule_search_locations or []), spec.origin or ""] if spec else []
    project = pathlib.Path(setup_file).absolute().parent
    return any(pathlib.Path(place).absolute().is_relative_to(project) for place in places if place)
