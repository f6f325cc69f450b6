"""The environment that a shard is made in: recorded, so that a mix within one dataset is seen."""

import importlib.metadata
import re
from collections.abc import Mapping

from lit_precompute.schemas.manifest.parts import Environment

UNKNOWN_DEVICE = "unknown"
_LIBRARIES = ("lit-precompute", "array-record", "pyarrow", "numpy")


def current_environment(device: str = UNKNOWN_DEVICE, libraries: Mapping[str, str] | None = None) -> Environment:
    """Returns the environment of this process.

    Args:
      device: what computes the embeddings, such as "cpu" or "NVIDIA H100 80GB HBM3".
      libraries: more modules whose versions are recorded, each with the distribution that usually provides it; where
        another one provides it, that one is recorded.
    """
    more = [_distribution(module, usual) for module, usual in (libraries or {}).items()]
    names = {*_LIBRARIES, *(name for name in more if name is not None)}
    return Environment(device=device, libraries={name: importlib.metadata.version(name) for name in sorted(names)})


def _distribution(module: str, usual: str) -> str | None:
    """Returns the installed distribution that provides a module; None if its installer left no metadata."""
    try:
        importlib.metadata.version(usual)
    except importlib.metadata.PackageNotFoundError:
        found = importlib.metadata.packages_distributions().get(module, [])
        return min((re.sub(r"[-_.]+", "-", name).lower() for name in found), default=None)
    return usual
