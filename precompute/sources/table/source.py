"""Tables of paths and texts: CSV, TSV or JSON lines, plain or compressed.

Promises: every table is read and checked once, by a look; afterwards a worker reads only its slice (of a compressed
table, what is before the slice, too). A look takes 8 bytes of memory a row, and the pickled source is small. The key of
a row without one is its path as written, so that a table gives the same keys wherever it is read. Images are relative
to their own table.

Not here: whether the images exist; a missing one becomes a row of `failures` when it is read.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.precompute.sources.files import Finder, Opener, check_scheme, open_first, read_image
from lit_precompute.precompute.sources.keyed import KeyedRow
from lit_precompute.precompute.sources.listing import list_files
from lit_precompute.precompute.sources.peeking import Peek
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.source import (
    Example,
    FileLook,
    FileSlice,
    ListedFile,
    SourceError,
    Survey,
)
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from lit_precompute.precompute.sources.table.delimited import read_header
from lit_precompute.precompute.sources.table.findings import findings_of, survey_tables
from lit_precompute.precompute.sources.table.format import endings_of
from lit_precompute.precompute.sources.table.gathering import PlacedRow, placed_rows
from lit_precompute.precompute.sources.table.json_lines import JsonLayout
from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.table.peeking import peek_table
from lit_precompute.precompute.sources.table.rows import Layout, Row
from lit_precompute.precompute.sources.table.slicing import Slicer
from lit_precompute.precompute.sources.table.streams import open_table
from lit_precompute.precompute.sources.table.windows_paths import BACKSLASHES, is_windows_path, read_windows_image
from lit_precompute.schemas import TableSchema
from lit_precompute.schemas.storage import beside, is_url

# A header is read again for each slice: little more than itself.
_HEADER_BYTES = 1 << 12
_HASHED_TOGETHER = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSource:
    """See `Source`. Made by `make_table`.

    Attributes:
      has_images: whether rows have images; without, `keyed_rows` alone reads it, and a row needs a key or a path.
    """

    path: str
    format: str
    columns: SourceColumns
    gather: bool
    opener: Opener
    find: Finder
    kind: str = "table"
    has_images: bool = True

    @property
    def options(self) -> Mapping[str, Any]:
        """How the tables are read."""
        gather = {"gather": True} if self.gather else {}  # absent by default, as before there was a choice
        return {"format": self.format, "columns": self.columns.recorded(), **gather}

    @property
    def on_repeated_keys(self) -> str:
        """What to do."""
        unique = f"give each row a unique name in a column {self.columns.key!r}"
        if self.gather:
            return (
                f"sort the table by image, so that --gather finds all rows of an image one after the other, or {unique}"
            )
        return (
            f"put all texts of an image into one row, or {unique}; if the rows of an image follow each other, one text "
            "a row, use --gather"
        )

    def files(self) -> list[ListedFile]:
        """Returns the tables; opens the first."""
        files = list_files(self.path, self.find, endings_of(self.format))
        open_first(files[0].path, self.opener).close()
        return files

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Reads a table once."""
        hashes, keys, has_labels = bytearray(), list[str](), False
        schemes: set[str] = set()
        with open_table(file.path, self.opener) as table:
            lines = Lines(table.text, file.path, at_start=True)
            layout = self._layout(lines)
            slicer = Slicer(
                file.path,
                rows_per_slice,
                start=lines.offset,
                lines_before=lines.number,
                is_compressed=table.compression is not None,
            )
            for placed in placed_rows(layout.rows(lines), lines, gather=self.gather):
                row = placed.row
                if is_url(row.path) and (scheme := row.path.partition("://")[0]) not in schemes:
                    check_scheme(row.path, f"{file.path}, line {placed.line}", self.opener)
                    schemes.add(scheme)
                slicer.add(placed)
                keys.append(row.key)
                if len(keys) == _HASHED_TOGETHER:
                    hashes += hash_keys(keys)
                    keys.clear()
                has_labels = has_labels or row.label != ""
            return FileLook(
                path=file.path,
                slices=slicer.finish(),
                key_hashes=bytes(hashes + hash_keys(keys)),
                num_bytes=table.file.num_bytes,
                sha256=table.file.digest.hexdigest(),
                findings=findings_of(lines, layout, self.columns, has_labels=has_labels),
            )

    def survey(self, looks: Sequence[FileLook]) -> Survey:
        """Checks that there are rows, and that they can have texts or labels."""
        return survey_tables(self.path, self.columns, looks, gather=self.gather)

    def keys(self, part: FileSlice) -> Iterator[tuple[str, str]]:
        """Yields each row's key and line."""
        for placed in self._placed(part):
            yield placed.row.key, f"{part.path}, line {placed.line}"

    def read(self, part: FileSlice, tables: Sequence[TableSchema]) -> Iterator[Example]:
        """Yields the slice's rows."""
        num_rows = 0
        for placed in self._placed(part):
            num_rows += 1
            yield self._example(part.path, placed.row)
        if num_rows != part.num_rows:
            raise SourceError(
                f"{part.path}: bytes {part.start} to {part.stop} had {part.num_rows} rows when the job was planned "
                f"and have {num_rows} now; the table changed: start again with a new output directory"
            )

    def without_images(self) -> TableSource:
        """See `KeyedSource`."""
        return dataclasses.replace(self, has_images=False)

    def keyed_rows(self, file: ListedFile) -> Generator[KeyedRow, None, FileLook]:
        """Yields the rows of a table without their images, and returns what `survey` needs; see `KeyedSource`."""
        has_rows = False
        with open_table(file.path, self.opener) as table:
            lines = Lines(table.text, file.path, at_start=True)
            layout = self._layout(lines)
            for row in layout.rows(lines):
                has_rows = True
                yield KeyedRow(row.key, row.texts, row.named, row.label, row.notes, lines.number)
            part = FileSlice(path=file.path, start=0, stop=lines.offset, num_rows=None)
            return FileLook(
                path=file.path,
                slices=(part,) if has_rows else (),
                num_bytes=table.file.num_bytes,
                sha256=table.file.digest.hexdigest(),
                findings=findings_of(lines, layout, self.columns, has_labels=True),
            )

    def place(self, file: ListedFile, number: int) -> str:
        """Returns where a row is, in words."""
        return f"{file.path}, line {number}"

    def peek(self, file: ListedFile, max_rows: int, max_counted: int) -> Peek:
        """Returns the first rows of a table; see `Peekable`."""
        peek = peek_table(
            file,
            max_counted,
            format=self.format,
            gather=self.gather,
            opener=self.opener,
            layout_of=self._layout,
            example_of=self._example,
        )
        return dataclasses.replace(peek, rows=peek.rows[:max_rows])

    def _layout(self, lines: Lines) -> Layout:
        """Returns the table's layout; reads the header, if it has one."""
        return (
            JsonLayout(columns=self.columns, has_images=self.has_images)
            if self.format == "jsonl"
            else read_header(lines, self.format, self.columns, has_images=self.has_images)
        )

    def _placed(self, part: FileSlice) -> Iterator[PlacedRow]:
        with open_table(part.path, self.opener) as table:
            layout = self._layout(Lines(table.text, part.path, at_start=True, chunk_bytes=_HEADER_BYTES))
            lines = Lines(
                table.text_from(part.start, part.stop),
                part.path,
                at_start=part.start == 0,
                num_before=part.lines_before,
            )
            yield from placed_rows(layout.rows(lines), lines, gather=self.gather)

    def _example(self, table: str, row: Row) -> Example:
        path, notes = beside(table, row.path), row.notes
        read = functools.partial(read_image, self.opener, path)
        if is_windows_path(row.path):
            read = functools.partial(read_windows_image, self.opener, table, row.path)
            notes = (*notes, BACKSLASHES) if "\\" in row.path else notes
        return Example(
            key=row.key,
            source=path,
            read_image=read,
            texts=row.texts,
            label=row.label,
            notes=notes,
            named=row.named,
        )


def make_table(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> TableSource:
    """Returns the tables at a path, which are not read yet.

    Args:
      spec: the path of a table, a folder of tables or a pattern of them, and how they are read.
      name: of the format: csv, tsv, jsonl, quoted-tsv or semicolon-csv.
      opener: opens a path.
      find: lists what a glob pattern matches.
    """
    return TableSource(path=spec.path, format=name, columns=spec.columns, gather=spec.gather, opener=opener, find=find)
