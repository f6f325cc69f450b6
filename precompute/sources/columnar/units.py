"""Columnar files as a source: what is the same for Parquet and Arrow.

Promises: looking reads schemas, counts and, where keys come from columns, those columns; a row without such a column
has the key "<file's name without its ending>/<its number in the file, from 0>". Reading holds one piece of the needed
columns. Where a part of a file is damaged, its rows fail; only rows whose keys are lost are an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from lit_precompute.precompute.sources.columnar.arrow import ArrowFile
from lit_precompute.precompute.sources.columnar.fields import first_values
from lit_precompute.precompute.sources.columnar.file import ColumnarFile, Group
from lit_precompute.precompute.sources.columnar.folders import list_source, relative_stem
from lit_precompute.precompute.sources.columnar.layout import Layout, find_layout
from lit_precompute.precompute.sources.columnar.parquet import ParquetFile
from lit_precompute.precompute.sources.columnar.reading import RowReader
from lit_precompute.precompute.sources.files import Finder, Opener, check_scheme, open_first
from lit_precompute.precompute.sources.keyed import KeyedRow
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.source import (
    Example,
    FileLook,
    FileSlice,
    ListedFile,
    SourceError,
    Survey,
    source_tables,
)
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import TableSchema
from lit_precompute.schemas.storage import is_url
from lit_precompute.schemas.wording import counted

_OPENED: Mapping[str, Callable[[BinaryIO, str], ColumnarFile]] = {
    "parquet": ParquetFile,
    "arrow": ArrowFile,
    "huggingface": ArrowFile,
    "img2dataset-files": ParquetFile,
}
_EXTENTS = {
    "parquet": ("Parquet file", "Parquet files"),
    "img2dataset-files": ("folder of images", "folders of images"),
}
# A group of up to so many times the rows asked for is a slice of its own: of two, the second reads what is before it.
_MAX_OVER = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnarSource:
    """See `Source`. Made by `make_columnar`.

    Attributes:
      has_images: whether rows have images; without, `keyed_rows` alone reads it.
    """

    kind: str
    spec: SourceSpec
    opener: Opener
    find: Finder
    has_images: bool = True

    @property
    def path(self) -> str:
        """As the user gave it."""
        return self.spec.path

    @property
    def options(self) -> Mapping[str, Any]:
        """How it is read."""
        split = {} if self.spec.split is None else {"split": self.spec.split}
        return {"columns": self.spec.columns.recorded(), **split}

    @property
    def on_repeated_keys(self) -> str:
        """What to do."""
        return (
            "put all texts of an image into one row, as a list, or give each row a unique name in a column, and "
            "name that column as --key-column"
        )

    def files(self) -> list[ListedFile]:
        """Returns the files; opens the first."""
        files = list_source(self.spec, self.kind, self.opener, self.find)
        open_first(files[0].path, self.opener).close()
        return files

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Reads a file's schema and counts, and the columns of keys."""
        with open_first(file.path, self.opener) as stream:
            opened, rows = self._open(stream, file.path)
            groups = list(opened.groups(0, None))
            num_rows = sum(group.num_rows for group in groups)
            return FileLook(
                path=file.path,
                slices=tuple(_cut(file.path, groups, rows_per_slice)),
                key_hashes=hash_keys(self._checked_keys(rows, groups, num_rows)),
                num_bytes=opened.num_bytes,
                content=opened.content,
                findings=_findings(rows.layout),
            )

    def fields(self, file: ListedFile) -> Mapping[str, str]:
        """Returns the columns; see `HasFields`."""
        with open_first(file.path, self.opener) as stream:
            return first_values(_OPENED[self.kind](stream, file.path), file.path)

    def survey(self, looks: Sequence[FileLook]) -> Survey:
        """Checks that there are rows."""
        if not any(look.slices for look in looks):
            raise SourceError(f"{self.path}: no rows in {counted(len(looks), 'file')}")
        looks = [look for look in looks if look.slices]
        has_labels = any(look.findings["has_labels"] for look in looks)
        found = {look.findings["image"]: None for look in looks if look.findings["image"]}
        words = counted(len(looks), *_EXTENTS.get(self.kind, ("Arrow file", "Arrow files")))
        if found:
            texts = {name: None for look in looks for name in look.findings["texts"]}
            words += f", images in {_quoted(found)}, texts in {_quoted(texts) or 'no column'}"
        tables = source_tables(has_labels=has_labels, named=tuple(self.spec.columns.named_columns))
        return Survey(tables=tables, extent=words)

    def keys(self, part: FileSlice) -> Iterator[tuple[str, str]]:
        """Yields each row's key and number; reads columns only if keys are in them."""
        with self.opener(part.path) as stream:
            opened, rows = self._open(stream, part.path)
            number = part.first_row
            for group, skip, take in _parts_of(opened, part):
                for key in rows.keys(group, skip, take, number):
                    yield key, f"{part.path}, row {number}"
                    number += 1

    def read(self, part: FileSlice, tables: Sequence[TableSchema]) -> Iterator[Example]:
        """Yields the slice's rows."""
        with self.opener(part.path) as stream:
            opened, rows = self._open(stream, part.path)
            number = part.first_row
            for group, skip, take in _parts_of(opened, part):
                yield from rows.read(group, skip, take, number)
                number += take
        if number - part.first_row != part.num_rows:
            raise SourceError(
                f"{part.path}: had {part.num_rows} rows from row {part.first_row} on when the job was planned and has "
                f"{number - part.first_row} now; the file changed: start again with a new output directory"
            )

    def without_images(self) -> ColumnarSource:
        """See `KeyedSource`."""
        return dataclasses.replace(self, has_images=False)

    def keyed_rows(self, file: ListedFile) -> Generator[KeyedRow, None, FileLook]:
        """Yields the rows of a file without their images, and returns what `survey` needs; see `KeyedSource`."""
        with open_first(file.path, self.opener) as stream:
            opened, rows = self._open(stream, file.path)
            number = 0
            parts: list[FileSlice] = []
            for group in opened.groups(0, None):
                for row in rows.read_strictly(group, number):
                    yield KeyedRow(row.key, row.texts, row.named, row.label, row.notes, number)
                    number += 1
                parts = parts or list(_cut(file.path, [group], max(group.num_rows, 1)))
            return FileLook(path=file.path, slices=tuple(parts), findings=_findings(rows.layout))

    def place(self, file: ListedFile, number: int) -> str:
        """Returns where a row is, in words."""
        return f"{file.path}, row {number}"

    def _open(self, stream: BinaryIO, path: str) -> tuple[ColumnarFile, RowReader]:
        opened = _OPENED[self.kind](stream, path)
        is_beside = self.kind == "img2dataset-files"
        layout = find_layout(
            opened.schema, self.spec.columns, path, images_beside=is_beside, has_images=self.has_images
        )
        name = relative_stem(self.path, path)
        rows = RowReader(file=opened, layout=layout, path=path, name=name, opener=self.opener, find=self.find)
        return opened, rows

    def _checked_keys(self, rows: RowReader, groups: Sequence[Group], num_rows: int) -> Iterator[str]:
        """Yields the keys of a file; checks that files at the paths in it can be opened, if it has paths."""
        schemes: set[str] = set()
        number = 0
        for group in groups:
            for key in rows.keys(group, 0, group.num_rows, number):
                if rows.layout.has_paths and is_url(key) and (scheme := key.partition("://")[0]) not in schemes:
                    check_scheme(key, f"{rows.path}, row {number}", self.opener)
                    schemes.add(scheme)
                yield key
                number += 1


def make_columnar(spec: SourceSpec, name: str, opener: Opener, find: Finder) -> ColumnarSource:
    """Returns the columnar files at a path, which are not read yet.

    Args:
      spec: the path, and the names of the columns.
      name: of the format.
      opener: opens a path.
      find: lists what a glob pattern matches.
    """
    return ColumnarSource(kind=name, spec=spec, opener=opener, find=find)


def _findings(layout: Layout) -> dict[str, Any]:
    """Returns what `survey` needs to know of a file's columns."""
    return {
        "has_labels": layout.label is not None,
        "image": layout.found,
        "texts": [column.name for column in layout.texts],
    }


def _cut(path: str, groups: Sequence[Group], rows_per_slice: int) -> Iterator[FileSlice]:
    """Yields a file's groups as slices: consecutive ones, or parts of one that has many more rows than asked for."""
    number = num_joined = 0
    joined: list[Group] = []
    for group in groups:
        if joined and num_joined + group.num_rows > rows_per_slice:
            yield _slice(path, joined, number, 0, num_joined)
            number, joined, num_joined = number + num_joined, [], 0
        if group.num_rows > _MAX_OVER * rows_per_slice:
            for before in range(0, group.num_rows, rows_per_slice):
                yield _slice(path, [group], number + before, before, min(rows_per_slice, group.num_rows - before))
            number += group.num_rows
        elif group.num_rows:
            joined.append(group)
            num_joined += group.num_rows
    if joined:
        yield _slice(path, joined, number, 0, num_joined)


def _slice(path: str, groups: Sequence[Group], first_row: int, before: int, num_rows: int) -> FileSlice:
    start, stop = groups[0].start, groups[-1].stop
    return FileSlice(path=path, start=start, stop=stop, num_rows=num_rows, num_before=before, first_row=first_row)


def _parts_of(opened: ColumnarFile, part: FileSlice) -> Iterator[tuple[Group, int, int]]:
    """Yields (group, rows of it before the slice, rows of it in the slice) of a slice's groups."""
    assert part.num_rows is not None, "a columnar file tells its rows"
    before = 0
    for group in opened.groups(part.start, part.stop):
        first = max(part.num_before - before, 0)
        last = min(part.num_before + part.num_rows - before, group.num_rows)
        if first < last:
            yield group, first, last - first
        before += group.num_rows


def _quoted(names: Mapping[str, None]) -> str:
    return " and ".join(map(repr, names))
