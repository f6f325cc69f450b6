"""Which files a path means: one file, those of a folder, those that a pattern matches; with sizes, from listings alone.

Promises: a path that exists is taken as it is, whatever marks it contains; files are in the order of their names, those
of braces in the order written; a folder or a pattern costs one listing, however many files there are.
"""

from __future__ import annotations

import glob
import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence

from lit_precompute.precompute.sources.files import Finder
from lit_precompute.precompute.sources.source import ListedFile, SourceError
from lit_precompute.schemas.storage import WEB_SCHEMES, FoundFile, is_url

MAX_FILES = 10_000_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_MARK = re.compile(r"[*?\[{]")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
# At the end of the name of one of several files: data.tfrecord-00002-of-00010
_SHARD = re.compile(r"-\d+-of-\d+$")
# Above, one listing of a folder is cheaper than a request for each file.
_MAX_ASKED = 8


def list_files(path: str, find: Finder, endings: Collection[str]) -> list[ListedFile]:
    """Returns the files that a path means.

    Args:
      path: a file, a folder, a glob pattern or a brace pattern such as data-{0000..0012}.tar, of files or folders.
      find: lists what a glob pattern matches.
      endings: of the names of files in folders that are meant, in lower case, such as .csv; of other files any.

    Raises:
      SourceError: a folder or pattern has no such file, or a file that braces name does not exist.
    """
    found = _ask(path, find)
    if found or not has_marks(path):
        return _one(path, found, find, endings)
    patterns = expand_braces(path)
    files: list[ListedFile] = []
    known = _listed_at_once(path, patterns, find)
    absent: list[str] = []
    for pattern in patterns:
        if has_marks(pattern):
            for match, file in find(pattern).items():
                files += in_folder(match, find, endings) if file.is_folder else [_listed(match, file)]
        elif known is None:
            there = _ask(pattern, find)
            files += (some := _one(pattern, there, find, endings))
            if not there and not is_web(pattern) and some == [ListedFile(path=pattern)]:
                absent.append(pattern)
        else:
            files.append(_listed(pattern, known[pattern]))
    _refuse_absent(path, patterns, absent)
    if not files:
        raise SourceError(f"{path}: no such files")
    return files


def in_folder(folder: str, find: Finder, endings: Collection[str]) -> list[ListedFile]:
    """Returns the files directly in a folder whose names have one of some endings."""
    found = find(f"{glob.escape(folder.rstrip('/'))}/*")
    return [_listed(path, file) for path, file in found.items() if not file.is_folder and ends_in(path, *endings)]


def ends_in(path: str, *endings: str) -> bool:
    """Returns whether a path has one of some endings, in any case, before the number of a shard if it has one."""
    return without_shard(path).endswith(endings)


def in_any_case(ending: str) -> str:
    """Returns a glob pattern of a lower-case ending, in any case: of .pq it is .[pP][qQ]."""
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in ending)


def without_shard(path: str) -> str:
    """Returns a path in lower case, without the number of a shard if it has one."""
    return _SHARD.sub("", path.lower())


def relative_name(given: str, path: str) -> str:
    """Returns the name of a file relative to what a user gave: a folder, a pattern, or the file itself."""
    folder = given.rstrip("/") + "/"
    if not path.startswith(folder) and has_marks(given):
        folder = _MARK.split(given)[0].rpartition("/")[0] + "/"
    return path.removeprefix(folder) if path.startswith(folder) else path.rpartition("/")[2]


def has_marks(path: str) -> bool:
    """Returns whether a path may be a pattern; in a web address ? begins the query, and [ an address."""
    return any(mark in path for mark in ("*{" if is_web(path) else "*?[{"))


def is_web(path: str) -> bool:
    """Returns whether a path is on a web server, which may list nothing."""
    return path.startswith(WEB_SCHEMES)


def expand_braces(pattern: str) -> list[str]:
    """Returns "a{b,c}" as ["ab", "ac"] and "x{08..10}" as ["x08", "x09", "x10"], in the order written.

    Bounds of equal length keep their leading zeros. A pattern without braces is returned as it is.

    Raises:
      SourceError: there are more than `MAX_FILES`.
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


def _check_number(pattern: str, num_files: int) -> None:
    if num_files > MAX_FILES:
        raise SourceError(f"{pattern}: the braces mean {num_files:,} files, at most {MAX_FILES:,} are read")


def _ask(path: str, find: Finder) -> Mapping[str, FoundFile]:
    """Returns what is at a path; nothing on a web server, which would be asked for each file."""
    return {} if is_web(path) else find(glob.escape(path))


def _one(path: str, found: Mapping[str, FoundFile], find: Finder, endings: Collection[str]) -> list[ListedFile]:
    """Returns a file, or the files of a folder. What is not found may still be opened: not every store lists."""
    file = next(iter(found.values()), None)
    # A store may know no folders, only the files in them.
    if file is None and not is_web(path) and not ends_in(path, *endings):
        return in_folder(path, find, endings) or [ListedFile(path=path)]
    if file is None or not file.is_folder:
        return [_listed(path, file)]
    files = in_folder(path, find, endings)
    if not files:
        raise SourceError(f"{path}: the folder has no file that ends in {' or '.join(endings)}")
    return files


def _listed(path: str, file: FoundFile | None) -> ListedFile:
    return ListedFile(path=path) if file is None else ListedFile(path=path, num_bytes=file[0], version=file[1])


def _listed_at_once(path: str, names: Sequence[str], find: Finder) -> Mapping[str, FoundFile] | None:
    """Returns the files that braces name by one listing of a store; None where each is asked for.

    Raises:
      SourceError: one is not there.
    """
    pattern = _BRACES.sub("*", path)
    if len(names) <= _MAX_ASKED or not is_url(path) or is_web(path) or any(has_marks(name) for name in names):
        return None
    found = {_within(name): file for name, file in find(pattern).items()}
    _refuse_absent(path, names, [name for name in names if _within(name) not in found])
    return {name: found[_within(name)] for name in names}


def _refuse_absent(path: str, names: Sequence[str], absent: Sequence[str]) -> None:
    if absent:
        missing = f", {len(absent):,} of which are not there" if len(absent) > 1 else ""
        raise SourceError(f"{absent[0]}: no such file; {path} names {len(names):,} files{missing}")


def _within(url: str) -> str:
    """Returns a URL without what stores spell in several ways: gs:// and gcs://, memory://a and memory:///a."""
    return url.rpartition("://")[2].lstrip("/")
