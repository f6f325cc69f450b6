"""A source that is not where it was when its job began: its content decides whether it is the same.

The names in a dataset (of the source's files, of images that failed) are those of the job's first launch. So a source
that a later launch finds elsewhere, or by another path, is opened under its first names, and both launches write the
same bytes.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import BinaryIO

from lit_precompute.pipelines.embed.plan import CONTENT
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import ListedFile, Source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import SourceInfo
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.storage import FoundFile, beside, open_file


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
    names = _FirstNames(first.path, tuple(file.path for file in first.files), spec.path, tuple(files))
    renamed = dataclasses.replace(spec, path=first.path, format=first.options.get("format", first.kind))
    source = make_source(renamed, opener=names.open, find=names.find)
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
    """Opens files where they are now by the names that they had first."""

    first_path: str
    first: tuple[str, ...]
    now_path: str
    now: tuple[ListedFile, ...]

    def open(self, path: str) -> BinaryIO:
        """Opens a file of the source, or an image beside a table."""
        for first, now in zip(self.first, self.now, strict=True):
            if path == first:
                return open_file(now.path)
        folder = "".join(self.first_path.rpartition("/")[:2])
        return open_file(beside(self.now_path, path.removeprefix(folder)))

    def find(self, pattern: str) -> dict[str, FoundFile]:
        """Returns the source's files that a pattern matches."""
        return {
            path: FoundFile(now.num_bytes or 0, now.version)
            for path, now in zip(self.first, self.now, strict=True)
            if pathlib.PurePath(path).match(pattern)
        }
