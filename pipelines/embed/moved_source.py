"""A source that is not where it was when its job began: its content decides whether it is the same.

The names in a dataset (of the source's files, of images that failed) are those of the job's first launch. So a source
that a later launch finds elsewhere, or by another path, is opened under its first names, and both launches write the
same bytes.
"""

import dataclasses
import pathlib
from typing import Any, BinaryIO

from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.precompute.sources.opening import open_source
from lit_precompute.precompute.sources.source import Source, SourceColumns
from lit_precompute.precompute.sources.webdataset.tar_samples import SampleName
from lit_precompute.schemas import SourceInfo
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.storage import beside, open_file

_HEADERS = "headers_sha256"  # an option that tars record


def open_under_first_names(
    path: str, *, format: str | None, columns: SourceColumns, sample_name: SampleName, first: SourceInfo | None
) -> Source:
    """Returns the source at `path`, under the names that it had first if the content is the same.

    Args:
      path: where the source is now.
      format: its format, if the path does not tell.
      columns: the names of its columns.
      sample_name: where the names in tars are cut.
      first: what the output's job recorded, if there is one.

    Raises:
      SourceError: it cannot be opened.
    """
    source = open_source(path, format=format, columns=columns, sample_name=sample_name)
    if first is None or source.info == first or _content(source.info) != _content(first):
        return source
    names = _FirstNames(first, source.info)
    first_format = first.options.get("format", first.kind)
    same = open_source(
        first.path,
        format=first_format,
        columns=columns,
        sample_name=sample_name,
        opener=names.open,
        find=names.find,
    )
    return same if same.info == first else source


def check_same_source(directory: JobDirectory, source: SourceInfo, first: SourceInfo) -> None:
    """Compares a source with that of the job that owns the directory, wherever the two are.

    Args:
      directory: the output.
      source: what was opened now.
      first: what the job recorded.

    Raises:
      ClaimError: the content differs, or how it is read (each difference with both values).
    """
    if _files(source) != _files(first):
        decides = "the names, sizes and headers of tars" if _HEADERS in source.options else "a table's bytes"
        if source.path == first.path:
            words = f"the content of {source.path} has changed since the output was begun"
        else:
            words = f"the content of {source.path} differs from that of {first.path}, with which the output was begun"
        raise ClaimError(
            f"{directory.path}: belongs to another job: {words} ({decides} decide); choose another --output"
        )
    directory.check({"source": {**first.model_dump(), "kind": source.kind, "options": source.options}})
    directory.check({"source": source.model_dump()})


def _content(info: SourceInfo) -> tuple[Any, ...]:
    """Returns what does not depend on where a source is."""
    return info.kind, info.options, _files(info)


def _files(info: SourceInfo) -> tuple[Any, ...]:
    """Returns what tells a source's files from others, wherever they are.

    Keys contain the names of tars, but not of tables.
    """
    headers = info.options.get(_HEADERS)
    names = [file.sha256 or (pathlib.PurePath(file.path).name if headers else file.path) for file in info.files]
    return headers, names, [file.bytes for file in info.files]


@dataclasses.dataclass(frozen=True)
class _FirstNames:
    """Opens files where they are now by the names that they had first."""

    first: SourceInfo
    now: SourceInfo

    def open(self, path: str) -> BinaryIO:
        """Opens a file of the source, or an image beside a table."""
        for first, now in zip(self.first.files, self.now.files, strict=True):
            if path == first.path:
                return open_file(now.path)
        folder = "".join(self.first.path.rpartition("/")[:2])
        return open_file(beside(self.now.path, path.removeprefix(folder)))

    def find(self, pattern: str) -> list[str]:
        """Returns the source's files that a pattern matches."""
        return [file.path for file in self.first.files if pathlib.PurePath(file.path).match(pattern)]
