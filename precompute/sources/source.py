"""The interface of every source of images: rows in a fixed order, cut into work units.

Promises: a source is checked before any work (`SourceError` says where, rule, value, what to do); its keys are unique
and not empty; reading a unit gives exactly the rows that were planned, in order; a source is picklable and small,
however many rows it has, because a unit carries the byte offsets of its rows.

Not here: decoding. An image that is missing or unreadable is only noticed when its `read_image` is called.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from lit_precompute.precompute.images.reading import ReadImage
from lit_precompute.schemas import Note, SourceInfo, TableSchema, captions_table, labels_table


class SourceError(ValueError):
    """A source that cannot be embedded as it is; raised before any work is done."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceColumns:
    """The names of a table's columns, or of the keys in a sample's JSON.

    Attributes:
      image: Column of the images' paths, relative to the table's folder; in tars the image's suffix, such as left.png.
      text: Column of a text; a table may have several of this name, or text_1, text_2, ...
      texts: Column of a list of texts (in CSV and TSV as JSON).
      label: Column of the class, if any.
      key: Column of a unique name, if any; otherwise the path is the key. Tables only.
    """

    image: str = "path"
    text: str = "text"
    texts: str = "texts"
    label: str = "label"
    key: str = "key"

    def __post_init__(self):
        names = dataclasses.astuple(self)
        if "" in names or len(set(names)) < len(names):
            given = ", ".join(f"--{field}-column {name!r}" for field, name in dataclasses.asdict(self).items())
            raise SourceError(f"columns: names must differ and not be empty, got {given}")

    def is_default(self, field: str) -> bool:
        """Returns whether a column has its default name."""
        return getattr(self, field) == getattr(SourceColumns, field)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """One row of a source. `read_image` is thread-safe and picklable.

    Attributes:
      key: unique within the source.
      source: where the image comes from, for the table of failures.
      read_image: returns the encoded image; see `ReadImage`.
      texts: in the source's order; may be empty.
      label: "" for none.
      notes: what was left out of the row, each in a few words that many rows share ("text is not a string").
      more: values of tables other than `captions` and `labels`, by table and column.
    """

    key: str
    source: str
    read_image: ReadImage
    texts: tuple[str, ...]
    label: str
    notes: tuple[str, ...] = ()
    more: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def values(self, table: str) -> Mapping[str, Any]:
        """Returns the row's values in one of the source's tables, by column, without the key."""
        known: dict[str, dict[str, Any]] = {"captions": {"texts": list(self.texts)}, "labels": {"label": self.label}}
        return {**known, **self.more}[table]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSlice:
    """A contiguous part of one file: bytes [start, stop) hold `num_rows` rows, after `num_before` of another unit.

    `links` are of a tar alone: for each link in these bytes, where its header and that of its file begin.
    """

    path: str
    start: int
    stop: int
    num_rows: int
    num_before: int = 0
    links: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkUnit:
    """A contiguous slice of a source: rows [first_row, first_row + num_rows), and the bytes that hold them."""

    number: int
    first_row: int
    num_rows: int
    files: tuple[FileSlice, ...]


class Source(Protocol):
    """Rows of images and texts. Implementations are picklable; `open_source` makes them."""

    @property
    def info(self) -> SourceInfo:
        """What was opened, in enough detail to notice a different source for the same output."""
        ...

    @property
    def num_rows(self) -> int: ...

    @property
    def extent(self) -> str:
        """What its rows were counted from, such as "1,204 lines" or "13 tars"."""
        ...

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was skipped because it belongs to no row."""
        ...

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        """The tables that its examples have values for, in their order in the dataset."""
        ...

    def units(self, rows_per_shard: int) -> list[WorkUnit]:
        """Returns the source cut into units of `rows_per_shard` rows; the last may be shorter."""
        ...

    def read(self, unit: WorkUnit) -> Iterator[Example]:
        """Yields exactly `unit.num_rows` examples.

        Raises:
          SourceError: the source has changed since it was planned.
        """
        ...


def source_tables(*, has_labels: bool) -> tuple[TableSchema, ...]:
    """Returns the tables of a source whose examples have texts and, if `has_labels`, labels."""
    return (captions_table(), labels_table()) if has_labels else (captions_table(),)


def columns_of(examples: Sequence[Example], table: TableSchema) -> dict[str, list[Any]]:
    """Returns a table's columns for some examples, without keys, and without scales, which writers compute."""
    rows = [example.values(table.name) for example in examples]
    names = [column.name for column in table.columns[1:] if column.type != "scale"]
    return {name: [row[name] for row in rows] for name in names}
