"""Finding a layout's files; names in them are never paths to follow."""

from __future__ import annotations

import concurrent.futures
import glob
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas import SourceFile
from lit_precompute.schemas.storage import FoundFile, find_described

_LOOKERS = 16
_File = TypeVar("_File")
_Found = TypeVar("_Found")


def look_at_all(look: Callable[[_File], _Found], files: Sequence[_File]) -> list[_Found]:
    """Returns what a look at each file finds; several files are asked at once."""
    with concurrent.futures.ThreadPoolExecutor(_LOOKERS) as lookers:
        return list(lookers.map(look, files))


def files_in(folder: str, endings: tuple[str, ...]) -> dict[str, FoundFile]:
    """Returns the files directly in a folder that have one of some endings, by path, in the order of their names."""
    found = find_described(f"{glob.escape(folder.rstrip('/'))}/*")
    return {path: file for path, file in found.items() if not file.is_folder and _is_meant(path, endings)}


def files_at(path: str, endings: tuple[str, ...]) -> dict[str, FoundFile]:
    """Returns a file, those of a folder, or those that a pattern matches.

    Raises:
      SourceError: there are none.
    """
    matches = find_described(glob.escape(path)) or find_described(path)
    found = {name: file for name, file in matches.items() if not file.is_folder}
    for folder in (name for name, file in matches.items() if file.is_folder):
        found |= files_in(folder, endings)
    if not matches and not path.lower().endswith(endings):
        found = files_in(path, endings)  # a store may know no folders
    if not found:
        raise SourceError(f"{path}: no files that end in {' or '.join(endings)}; check the path")
    return found


def _is_meant(path: str, endings: tuple[str, ...]) -> bool:
    """Returns whether a file has one of some endings; those that systems keep for themselves are hidden."""
    return path.lower().endswith(endings) and not path.rpartition("/")[2].startswith((".", "_"))


def source_files(found: Iterable[Mapping[str, FoundFile]]) -> list[SourceFile]:
    """Returns files as a manifest lists them."""
    return [SourceFile(path=path, bytes=file.num_bytes or 0) for group in found for path, file in group.items()]
