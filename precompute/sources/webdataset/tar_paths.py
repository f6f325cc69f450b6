"""Which tars a path means: one tar, a folder of tars, a glob pattern or a brace pattern."""

from __future__ import annotations

import glob
import itertools
import math
import re
from collections.abc import Sequence

from lit_precompute.precompute.sources.files import Finder
from lit_precompute.precompute.sources.source import SourceError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
MAX_TARS = 10_000_000
# The first that a name ends in is not part of keys.
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.zst")


def find_tars(path: str, find: Finder) -> list[str]:
    """Returns the tars that a path means, in the order of their rows.

    Raises:
      SourceError: a pattern or a folder matches none.
    """
    if not path.lower().endswith(TAR_ENDINGS):
        if paths := [found for found in find(f"{path.rstrip('/')}/*") if found.lower().endswith(TAR_ENDINGS)]:
            return paths
        if find(glob.escape(path)):
            raise SourceError(f"{path}: not a .tar file, nor a folder or a pattern of them, so not webdataset's format")
        raise SourceError(f"{tars_in(path)}: no such files")
    paths = [
        found
        for pattern in expand_braces(path)
        for found in (find(pattern) if any(mark in pattern for mark in "*?[") else [pattern])
    ]
    if not paths:
        raise SourceError(f"{path}: no such files")
    return paths


def tars_in(folder: str) -> str:
    """Returns the pattern of a folder's tars."""
    return f"{folder.rstrip('/')}/*.tar"


def expand_braces(pattern: str) -> list[str]:
    """Returns "a{b,c}" as ["ab", "ac"] and "x{08..10}" as ["x08", "x09", "x10"], in the order written.

    Bounds of equal length keep their leading zeros. A pattern without braces is returned as it is.

    Raises:
      SourceError: there are more than `MAX_TARS`.
    """
    parts: list[Sequence[str]] = []
    for position, part in enumerate(_BRACES.split(pattern)):
        if position % 2 == 0:
            parts.append([part])
        elif bounds := _RANGE.fullmatch(part):
            low, high = bounds.groups()
            width = len(low) if len(low) == len(high) or low.startswith("0") else 0
            numbers = range(int(low), int(high) + 1)
            _check_number(pattern, len(numbers))
            parts.append([str(number).zfill(width) for number in numbers])
        else:
            parts.append(part.split(","))
    _check_number(pattern, math.prod(map(len, parts)))
    return ["".join(choice) for choice in itertools.product(*parts)]


def _check_number(pattern: str, num_tars: int) -> None:
    if num_tars > MAX_TARS:
        raise SourceError(f"{pattern}: the braces mean {num_tars:,} tars, at most {MAX_TARS:,} are read")
