"""Patterns over remote files.

Promises: a folder that cannot be listed is an error. fsspec's own glob takes it for empty, and nobody would know that
files are missing. `**` is any number of folders; nothing else matches a slash.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Iterator, Sequence
from typing import Any

from lit_precompute.schemas.storage.drivers import GCS_SCHEMES, S3_SCHEMES

_ANY_FOLDERS = "**"
_MAGIC = re.compile(r"[*?\[]")


def matching(files: Any, pattern: str) -> dict[str, dict[str, Any]]:
    """Returns what an fsspec file system says of the files and folders that match a pattern, by their paths."""
    if "http" in files.protocol:
        return files.glob(pattern, detail=True)  # pages with links, of which it makes sense itself
    if not glob.has_magic(pattern):
        try:
            return {pattern: files.info(pattern)}
        except FileNotFoundError:
            return {}
    *folders, last = pattern.split("/")
    first = next((number for number, part in enumerate(folders) if glob.has_magic(part)), len(folders))
    found = _below(files, "/".join(folders[:first]), [*folders[first:], last])
    return {each["name"].rstrip("/"): each for each in found}


def _below(files: Any, folder: str, parts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields what matches the parts of a pattern, one a level, from a folder on."""
    part, rest = parts[0], parts[1:]
    if part == _ANY_FOLDERS and rest:
        yield from _below(files, folder, rest)
    is_match = re.compile(fnmatch.translate(part)).match
    for each in _entries(files, folder, stem=_MAGIC.split(part)[0]):
        path = each["name"].rstrip("/")
        if not is_match(path.rpartition("/")[2]):
            continue
        is_folder = each["type"] == "directory"
        if not rest:
            yield each
        elif is_folder and part != _ANY_FOLDERS:
            yield from _below(files, path, rest)
        if is_folder and part == _ANY_FOLDERS:
            yield from _below(files, path, parts)


def _entries(files: Any, folder: str, stem: str) -> list[dict[str, Any]]:
    """Returns what is directly in a folder, if its name begins with `stem` or with something else."""
    try:
        if stem and files.protocol in (GCS_SCHEMES, S3_SCHEMES):  # which look for such names themselves
            found = files.find(folder, maxdepth=1, withdirs=True, detail=True, prefix=stem).values()
        else:
            found = files.ls(folder, detail=True)
    except FileNotFoundError:
        return []
    return [each for each in found if each["name"].strip("/") != folder.strip("/")]
