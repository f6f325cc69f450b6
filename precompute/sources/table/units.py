"""A table of paths and texts: CSV, TSV or JSON lines.

Promises: the whole table is read and checked once, when it is opened; afterwards a worker reads only the bytes of its
unit. Planning uses 16 bytes of memory per row, and the pickled source is small. The key of a row without one is its
path as written, so that a table gives the same keys wherever it is read.

Not here: whether the images exist; a missing one becomes a row of `failures` when it is read.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from lit_precompute.precompute.sources.files import Opener, check_scheme, compression_of, open_first, read_image
from lit_precompute.precompute.sources.planning import check_repeats, cut_units, repeated_hashes
from lit_precompute.precompute.sources.source import Example, SourceColumns, SourceError, WorkUnit, source_tables
from lit_precompute.precompute.sources.table.delimited import read_header
from lit_precompute.precompute.sources.table.json_lines import JsonLayout
from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.table.records import DIALECTS
from lit_precompute.precompute.sources.table.rows import Layout, Row
from lit_precompute.precompute.sources.table.windows_paths import BACKSLASHES, is_windows_path, read_windows_image
from lit_precompute.schemas import Note, SourceInfo, TableSchema
from lit_precompute.schemas.storage import beside, is_url
from lit_precompute.schemas.wording import counted

SUFFIXES = ("csv", "tsv", "jsonl")
FORMATS = (*SUFFIXES, *(name for name in DIALECTS if name not in SUFFIXES))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSource:
    """See `Source`. Made by `open_table`."""

    path: str
    layout: Layout
    opener: Opener
    info: SourceInfo
    num_rows: int
    extent: str
    has_labels: bool
    offsets: np.ndarray | None = dataclasses.field(repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # Workers get units, which carry their own offsets.
        return {**self.__dict__, "offsets": None}

    @property
    def notes(self) -> tuple[Note, ...]:
        """Nothing: every line belongs to a row, or is the header or blank."""
        return ()

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        """The tables that the source has values for."""
        return source_tables(has_labels=self.has_labels)

    def units(self, rows_per_shard: int) -> list[WorkUnit]:
        """Returns the table cut into units."""
        assert self.offsets is not None, "units are planned where the source was opened, not on a worker"
        return cut_units([(self.path, self.offsets)], rows_per_shard)

    def read(self, unit: WorkUnit) -> Iterator[Example]:
        """Yields the unit's rows; see `Source.read`."""
        (part,) = unit.files
        with self.opener(self.path) as stream:
            stream.seek(part.start)
            data = stream.read(part.stop - part.start)
        num_rows = 0
        for row in self.layout.rows(Lines(io.BytesIO(data), self.path, at_start=part.start == 0)):
            num_rows += 1
            yield self._example(row)
        if num_rows != unit.num_rows:
            raise SourceError(
                f"{self.path}: bytes {part.start} to {part.stop} had {unit.num_rows} rows when the job was planned "
                f"and have {num_rows} now; the table changed: start again with a new output directory"
            )

    def _example(self, row: Row) -> Example:
        path, notes = beside(self.path, row.path), row.notes
        read = functools.partial(read_image, self.opener, path)
        if is_windows_path(row.path):
            read = functools.partial(read_windows_image, self.opener, self.path, row.path)
            notes = (*notes, BACKSLASHES) if "\\" in row.path else notes
        return Example(
            key=row.key or row.path, source=path, read_image=read, texts=row.texts, label=row.label, notes=notes
        )


def open_table(path: str, format: str, columns: SourceColumns, opener: Opener) -> TableSource:
    """Returns the table at `path`, read once and checked.

    Raises:
      SourceError: no such file, no rows, no such column, a row of the wrong length, an empty path, a repeated key.
    """
    with open_first(path, opener) as stream:
        _refuse_compressed(stream, path)
        lines = Lines(stream, path, at_start=True)
        layout: Layout = JsonLayout(columns=columns) if format == "jsonl" else read_header(lines, format, columns)
        # Hashes take far less memory than keys; the rare suspects are checked again.
        offsets, hashes = array.array("q", [lines.offset]), array.array("q")
        has_texts = has_labels = False
        schemes: set[str] = set()
        for row in layout.rows(lines):
            if is_url(row.path) and (scheme := row.path.partition("://")[0]) not in schemes:
                check_scheme(row.path, f"{path}, line {lines.number}", opener)
                schemes.add(scheme)
            offsets.append(lines.offset)
            hashes.append(hash(row.key or row.path))
            has_texts = has_texts or bool(row.texts)
            has_labels = has_labels or row.label != ""
    if not hashes:
        raise SourceError(f"{path}: no rows; a table needs at least one after its header")
    if not has_texts and not has_labels:
        with open_first(path, opener) as stream:
            layout.check_names(Lines(stream, path, at_start=True))
    suspects = repeated_hashes(np.frombuffer(hashes, np.int64))
    if suspects:
        hint = f"put all texts of an image into one row, or give each row a unique name in a column {columns.key!r}"
        check_repeats(_keys(path, layout, opener), suspects, hint)
    return TableSource(
        path=path,
        layout=layout,
        opener=opener,
        info=_info(lines, format, columns),
        num_rows=len(hashes),
        extent=_extent(lines),
        has_labels=has_labels,
        offsets=np.frombuffer(offsets, np.int64),
    )


def _refuse_compressed(stream: BinaryIO, path: str) -> None:
    if name := compression_of(stream.read(8)):
        workbook = " (an Excel workbook is one, too: save it as CSV with UTF-8)" if name == "zip" else ""
        raise SourceError(f"{path}: a {name} file, not a table of text{workbook}; extract the table first")
    stream.seek(0)


def _info(lines: Lines, format: str, columns: SourceColumns) -> SourceInfo:
    # Earlier versions took TSV as quoted. The two differ only where a field begins with a quote: then a dataset of
    # such a version must not pass for one of this job.
    quotes = {"quotes": "kept"} if lines.num_quoted else {}
    return SourceInfo.model_validate(
        {
            "kind": "table",
            "path": lines.path,
            "files": [{"path": lines.path, "bytes": lines.offset, "sha256": lines.digest.hexdigest()}],
            "options": {"format": format, "columns": dataclasses.asdict(columns), **quotes},
        }
    )


def _extent(lines: Lines) -> str:
    """Returns how many lines were read, and what explains that they are not the rows and a header."""
    words = counted(lines.number, "line")
    if lines.num_blank:
        words += f", {lines.num_blank:,} blank"
    if lines.num_long_rows:
        words += f", {counted(lines.num_long_rows, 'row')} of several lines"
    return words


def _keys(path: str, layout: Layout, opener: Opener) -> Iterator[tuple[str, str]]:
    """Yields (key, its place) of each row."""
    with open_first(path, opener) as stream:
        lines = Lines(stream, path, at_start=True)
        layout.skip_header(lines)
        for row in layout.rows(lines):
            yield row.key or row.path, f"{path}, line {lines.number}"
