"""Paths: opening, finding and naming files, local or remote.

Promises: what stands here is the default that a source uses when no opener is injected: plain files, and through
fsspec whatever begins with a scheme ("gs://...").

Not here: Beam's file systems, which pipelines inject.
"""

from __future__ import annotations

import glob
import itertools
import pathlib
import re
from typing import BinaryIO, cast

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def open_file(path: str) -> BinaryIO:
    """Opens a local path, or through fsspec a path with a scheme."""
    if "://" not in path:
        return pathlib.Path(path).open("rb")
    from fsspec.core import url_to_fs

    file_system, inner = url_to_fs(path)
    return cast(BinaryIO, file_system.open(inner, "rb"))


def find_files(pattern: str) -> list[str]:
    """Returns what a glob pattern matches, sorted by name; [] when nothing does."""
    if "://" not in pattern:
        return sorted(glob.glob(pattern))  # noqa: PTH207 -- pathlib cannot glob an absolute pattern
    from fsspec.core import url_to_fs

    file_system, inner = url_to_fs(pattern)
    return sorted(file_system.unstrip_protocol(name) for name in file_system.glob(inner))


def beside(file: str, path: str) -> str:
    """Returns `path`, taken relative to the folder of `file` unless it is absolute or has a scheme of its own."""
    folder, slash, _ = file.rpartition("/")
    if path.startswith("/") or "://" in path:
        return path
    return f"{folder}{slash}{path}"


def expand_braces(pattern: str) -> list[str]:
    """Returns "a{b,c}" as ["ab", "ac"] and "x{08..10}" as ["x08", "x09", "x10"], in the order written.

    Bounds of equal length keep their leading zeros. A pattern without braces is itself.
    """
    parts: list[list[str]] = []
    for position, part in enumerate(_BRACES.split(pattern)):
        if position % 2 == 0:
            parts.append([part])
        elif bounds := _RANGE.fullmatch(part):
            low, high = bounds.groups()
            width = len(low) if len(low) == len(high) or low.startswith("0") else 0
            parts.append([str(number).zfill(width) for number in range(int(low), int(high) + 1)])
        else:
            parts.append(part.split(","))
    return ["".join(choice) for choice in itertools.product(*parts)]
