"""The user's own modules that workers import (`--tower my_towers:wide`): their files, and what they need installed.

Promises: nothing is imported here, files are only read; a module of several files is found whole, with the user's
modules that it imports in turn. What cannot be installed on a worker by copying files is refused, with what to do.
"""

import ast
import importlib.machinery
import importlib.util
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from typing import NamedTuple

from lit_precompute.pipelines.engines.requirements import PACKAGE, distribution_of, pin

_FACE = PACKAGE.replace("-", "_")
_MOST_BYTES = 64 << 20
_COMPILED = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_INSTEAD = "install it on the workers (--requirements_file, --setup_file or --sdk_container_image) or leave it out"


class UserModules(NamedTuple):
    """Files of the user's modules, by where they are installed, and requirements on other packages."""

    files: dict[str, pathlib.Path]
    requires: list[str]


def find_user_modules(module: str) -> UserModules:
    """Returns what workers need to import a module: its files and those of the user's other modules that it imports.

    Packages that are installed here and not part of this one are requirements, at the version installed here.

    Args:
      module: a module's dotted name; the whole top-level package is taken.

    Raises:
      ValueError: a module is not found, is compiled, or is too large; says what to do instead.
    """
    waiting, seen = [module.partition(".")[0]], set[str]()
    files: dict[str, pathlib.Path] = {}
    requires: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name == _FACE or name in sys.stdlib_module_names:
            continue
        seen.add(name)
        place = _place_of(name, module)
        if place is None:
            continue  # an import that is optional, or that fails here as it would there
        if _is_installed(place):
            distribution = distribution_of(name)
            requires.add(f"{distribution}{pin(distribution)}")
            continue
        for path in _files_of(place):
            files[path.relative_to(place.parent).as_posix()] = path
            waiting += sorted(_imports(path))
    _check(module, files)
    return UserModules(files, sorted(requires))


def _place_of(name: str, wanted: str) -> pathlib.Path | None:
    """Returns the file of a top-level module, or the folder of a package."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module without a spec, such as __main__
        spec = None
    if spec is None:
        if name == wanted.partition(".")[0]:
            raise ValueError(f"{wanted}: there is no module {name!r}; its folder must be on Python's path")
        return None
    if spec.submodule_search_locations:
        return pathlib.Path(next(iter(spec.submodule_search_locations))).absolute()
    return pathlib.Path(spec.origin).absolute() if spec.has_location and spec.origin else None


def _is_installed(place: pathlib.Path) -> bool:
    """Returns whether a package manager put it there; an editable install is the user's folder."""
    folders = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")} | {
        path for path in sys.path if pathlib.Path(path).name in ("site-packages", "dist-packages")
    }
    return any(place.is_relative_to(folder) for folder in folders)


def _files_of(place: pathlib.Path) -> Iterator[pathlib.Path]:
    if place.is_file():
        yield place
        return
    for path in sorted(place.rglob("*")):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(place).parts)
        if path.is_file() and not hidden:
            yield path


def _imports(path: pathlib.Path) -> set[str]:
    """Returns the top-level modules that a file imports by their full names."""
    if path.suffix != ".py":
        return set()
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _check(module: str, files: dict[str, pathlib.Path]) -> None:
    compiled = [str(path) for path in files.values() if path.name.endswith(_COMPILED)]
    if compiled:
        raise ValueError(f"{module}: {compiled[0]} is compiled for this machine, not for a worker; {_INSTEAD}")
    size = sum(path.stat().st_size for path in files.values())
    if size > _MOST_BYTES:
        largest = max(files.values(), key=lambda path: path.stat().st_size)
        raise ValueError(
            f"{module}: its files have {size / 1e6:,.0f} MB, {_MOST_BYTES / 1e6:,.0f} MB can be staged (the largest is "
            f"{largest}); keep data out of the package's folder, or {_INSTEAD}"
        )
