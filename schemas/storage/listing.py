"""Listing the names in a folder, local or remote; nothing is asked of the single files.

Promises: names are sorted by code point, whatever the store; a folder that cannot be listed is an error, not an empty
one; symbolic links to folders are followed, but not in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lit_precompute.schemas.storage.asking import ask, check_bucket
from lit_precompute.schemas.storage.file_systems import local_path
from lit_precompute.schemas.storage.names import is_url
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience


class Names(NamedTuple):
    """What a folder contains, by names relative to it, sorted.

    Attributes:
      files: the files, and links that lead nowhere.
      folders: the folders directly in it.
      circles: links to a folder that they are in, which are not followed.
    """

    files: list[str]
    folders: list[str]
    circles: list[str]


def list_names(path: str, *, below: bool = False, patience: Patience = DEFAULT_PATIENCE) -> Names:
    """Returns what a folder contains; nothing if a store has no such folder.

    Args:
      path: of the folder.
      below: whether to list the files in all folders below it, too.
      patience: how long to try.

    Raises:
      OSError: it is no folder, or it or a folder below it cannot be listed.
    """
    local = local_path(path) if is_url(path) else path
    if local is not None:
        return _list_here(os.fspath(local), below=below)
    return ask(path, lambda files, inner: _list_there(files, inner, path, below=below), patience)


def _list_here(path: str, *, below: bool) -> Names:
    files: list[str] = []
    folders: list[str] = []
    circles: list[str] = []
    waiting = [("", frozenset[str]())]
    while waiting:
        name, around = waiting.pop()
        real = os.path.realpath(f"{path}/{name}")
        for entry in _entries(f"{path}/{name}"):
            full = f"{name}/{entry.name}" if name else entry.name
            if not is_folder_entry(entry):
                files.append(full)
            elif entry.is_symlink() and _is_around(os.path.realpath(entry.path), (real, *around)):
                circles.append(full)
            else:
                folders += [] if name else [full]
                waiting += [(full, around | {real})] if below else []
    return Names(sorted(files), sorted(folders), sorted(circles))


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from entries


def is_folder_entry(entry: os.DirEntry[str]) -> bool:
    """Returns whether a name is that of a folder, or of a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: it cannot be opened as a file either
        return False


def _is_around(folder: str, inside: Iterable[str]) -> bool:
    """Returns whether a folder is one of some others, or has one of them below it."""
    return any(f"{each}/".startswith(f"{folder.rstrip('/')}/") for each in inside)


def _list_there(files: Any, path: str, url: str, *, below: bool) -> Names:
    prefix = path.rstrip("/") + "/"
    try:
        found = files.ls(path, detail=True)
    except FileNotFoundError:
        check_bucket(url, files, path)
        return Names([], [], [])
    folders = [each["name"] for each in found if each["type"] == "directory"]
    names = list(files.find(path)) if below else [each["name"] for each in found if each["type"] != "directory"]

    def relative(names: list[str]) -> list[str]:
        # Some stores list the folder itself, too.
        return sorted(
            filter(None, (name.removeprefix(prefix).rstrip("/") for name in names if name.startswith(prefix)))
        )

    return Names(relative(names), relative(folders), [])
