"""What workers install: this package's requirements as they are here, for the accelerator and the stores of a job.

Promises: workers get the versions that the launcher has, so that a worker which starts next month embeds as one that
starts today; a version that no registry has (a local build) is not asked for. Beam is left out: a worker has it.
"""

import functools
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lit_precompute.schemas.storage import driver_module

PACKAGE = "lit-precompute"
Accelerator = Literal["cpu", "gpu", "tpu"]

_EXTRAS = {"cpu": ("", "embed"), "gpu": ("", "embed", "cuda"), "tpu": ("", "embed", "tpu")}
_BEAM = "apache-beam"
# Workers run Linux, whatever the launcher runs.
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
_MACHINES = ("x86_64", "aarch64")
_INSTEAD = {"tensorflow-cpu": "tensorflow", "tensorflow": "tensorflow-cpu"}  # one project, one version, two builds


def requirements(accelerator: Accelerator, urls: Sequence[str]) -> list[str]:
    """Returns what a worker installs besides this package and Beam, one line for each distribution, sorted.

    Args:
      accelerator: what the workers embed on: it selects JAX's build.
      urls: what the workers open: sources, weights, output; each store needs its driver.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for line in importlib.metadata.distribution(PACKAGE).requires or []:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name != _BEAM and (marker := _marker(requirement, _EXTRAS[accelerator])) is not None:
            found.setdefault((name, marker), set()).update(requirement.extras)
    for driver in sorted({name for url in urls if (name := driver_module(url))}):
        found.setdefault((distribution_of(driver), ""), set())
    return sorted(
        f"{name}{'[' + ','.join(sorted(extras)) + ']' if extras else ''}{pin(name)}{marker}"
        for (name, marker), extras in found.items()
    )


def pin(name: str) -> str:
    """Returns "==" and the version of a distribution that is installed here; "" if no registry has that version."""
    for each in (name, _INSTEAD.get(name)):
        try:
            distribution = importlib.metadata.distribution(each or name)
        except importlib.metadata.PackageNotFoundError:
            continue
        version = Version(distribution.version)
        is_local = version.local or version.is_devrelease or distribution.read_text("direct_url.json")
        return "" if is_local else f"=={distribution.version}"
    return ""


def distribution_of(module: str) -> str:
    """Returns the name of the installed distribution that has a top-level module; the module's own if none does."""
    return canonicalize_name(min(_distributions().get(module, [module])))


@functools.cache  # it reads the metadata of all that is installed
def _distributions() -> Mapping[str, Sequence[str]]:
    return importlib.metadata.packages_distributions()


def _marker(requirement: Requirement, extras: Iterable[str]) -> str | None:
    """Returns the part of a requirement's marker that a worker has to evaluate; None if it is not for these extras."""
    marker = requirement.marker
    if marker is None:
        return ""
    fits = [
        machine
        for machine in _MACHINES
        if any(marker.evaluate({**_LINUX, "platform_machine": machine, "extra": extra}) for extra in extras)
    ]
    if not fits:
        return None
    return "" if len(fits) == len(_MACHINES) else f'; platform_machine == "{fits[0]}"'
