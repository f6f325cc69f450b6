"""A source that is not where it was when its job began: its content decides whether it is the same.

The names in a dataset (of the source's files, of images that failed) are those of the job's first launch. So a source
that a later launch finds elsewhere, or by another path, is opened under its first names, and both launches write the
same bytes.
"""

import dataclasses
import functools
import glob
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from lit_precompute.pipelines.embed.planning.plan import CONTENT
from lit_precompute.precompute.sources.folders.source import FolderSource
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import ListedFile, Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import SourceInfo
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.storage import FoundFile, find_described, is_url, open_file

# A character that is meant as it is, as glob.escape writes it.
_ESCAPED = re.compile(r"\[(.)\]")


def under_first_names(
    spec: SourceSpec, files: Sequence[ListedFile], first: SourceInfo
) -> tuple[Source, list[ListedFile]] | None:
    """Returns a source and its files under the names that they had first; None if they cannot be the same files.

    Args:
      spec: where the source is now.
      files: its files there.
      first: what the output's job recorded.
    """
    if len(files) != len(first.files):
        return None
    names = _FirstNames(tuple(file.path for file in first.files), tuple(files))
    renamed = dataclasses.replace(spec, path=first.path, format=first.options.get("format", first.kind))
    source = make_source(renamed, opener=names.open, find=names.find)
    if isinstance(source, FolderSource):  # its files are folders, which are listed
        source = dataclasses.replace(source, now=names.now)
    pairs = zip(files, names.first, strict=True)
    return source, [dataclasses.replace(file, path=path) for file, path in pairs]


def check_same_source(output: str, path: str, source: SourceInfo, first: SourceInfo) -> None:
    """Compares a source with that of the job that owns the output, wherever the two are; not how it is read.

    Args:
      output: the job's output.
      path: where the source is now.
      source: what was found now.
      first: what the job recorded.

    Raises:
      ClaimError: the content differs.
    """
    if source.options.get(CONTENT) == first.options.get(CONTENT):
        return
    if path == first.path:
        words = f"the content of {path} has changed since the output was begun"
    else:
        words = f"the content of {path} differs from that of {first.path}, with which the output was begun"
    raise ClaimError(f"{output}: belongs to another job: {words}; choose another --output")


@dataclasses.dataclass(frozen=True)
class _FirstNames:
    """Finds files where they are now by the names that they had first."""

    first: tuple[str, ...]
    files: tuple[ListedFile, ...]

    def now(self, path: str) -> str:
        """Returns where a file of the source is, or what is in it or beside it: the images of a folder or a table."""
        if (file := self._by_name.get(path)) is not None:
            return file.path
        if (folder := self._folders.get(f"{path}/")) is not None:
            return folder.rstrip("/")
        for end in (place for place in range(len(path), 0, -1) if path[place - 1] == "/"):
            if (folder := self._folders.get(path[:end])) is not None:
                return folder + path[end:]
        return path if path.startswith("/") or is_url(path) else self._folders.get("", "") + path

    def open(self, path: str) -> BinaryIO:
        """Opens a file of the source, or what is in it or beside it."""
        return open_file(self.now(path))

    def find(self, pattern: str) -> dict[str, FoundFile]:
        """Returns the source's files that a pattern matches, or else what is in a folder beside them."""
        found = {
            path: FoundFile(file.num_bytes or 0, file.version)
            for path, file in self._by_name.items()
            if pathlib.PurePath(path).match(pattern)
        }
        folder, _, name = pattern.rpartition("/")
        if found or not folder:
            return found
        folder = _ESCAPED.sub(r"\1", folder)
        now = self.now(folder)
        there = find_described(f"{glob.escape(now)}/{name}")
        return {folder + path[len(now) :]: file for path, file in there.items()}

    @functools.cached_property
    def _by_name(self) -> Mapping[str, ListedFile]:
        return dict(zip(self.first, self.files, strict=True))

    @functools.cached_property
    def _folders(self) -> Mapping[str, str]:
        """Where folders are now, by their first names; both with a slash at the end, or empty."""
        pairs = [(first, file.path) for first, file in self._by_name.items()]
        around = {_folder_of(first): _folder_of(now) for first, now in pairs}
        return around | {f"{first}/": f"{now}/" for first, now in pairs}


def _folder_of(path: str) -> str:
    return "".join(path.rpartition("/")[:2])
