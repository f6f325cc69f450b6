"""The interface of every source of images: files of rows in a fixed order, cut into work units.

A source is read in three steps, so that neither the launcher nor any one machine has to read it all:

    files     list the files; only listings are read. The launcher does this.
    look      look into one file, without its images: how many rows, where they begin, their keys. Workers do this.
    read      read a slice of one file, row by row. Workers do this.

Promises: a source is checked before any work (`SourceError` says where, rule, value, what to do); reading a slice gives
exactly the rows that were found, in order; a source is picklable and small, however many rows it has.

Not here: decoding. An image that is missing or unreadable is only noticed when its `read_image` is called.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from lit_precompute.precompute.images.reading import ReadImage
from lit_precompute.schemas import Note, TableSchema, captions_table, labels_table


class SourceError(ValueError):
    """A source that cannot be embedded as it is; raised before any work is done."""


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
      named: texts with names, such as title and tags, by column of `captions`.
      more: values of tables other than `captions` and `labels`, by table and column.
    """

    key: str
    source: str
    read_image: ReadImage
    texts: tuple[str, ...]
    label: str
    notes: tuple[str, ...] = ()
    named: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    more: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def without_image(self) -> Example:
        """Returns the row without what reads its image, which may hold the encoded image."""
        return dataclasses.replace(self, read_image=_read_already)

    def values(self, table: str) -> Mapping[str, Any]:
        """Returns the row's values in one of the source's tables, by column, without the key."""
        captions = {"texts": list(self.texts), **{name: list(texts) for name, texts in self.named.items()}}
        known: dict[str, dict[str, Any]] = {"captions": captions, "labels": {"label": self.label}}
        return {**known, **self.more}[table]


def _read_already(max_bytes: int | None = None) -> bytes:
    raise AssertionError(f"an image is read once (max_bytes={max_bytes})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListedFile:
    """A file of a source, as a listing describes it.

    Attributes:
      path: as the source opens it.
      num_bytes: its size; None where the listing does not say.
      version: differs once the file has changed: a time, a store's generation or ETag; "" where there is none.
    """

    path: str
    num_bytes: int | None = None
    version: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSlice:
    """A contiguous part of one file: what a format can read without what comes before it.

    Attributes:
      path: of the file.
      start: where the slice begins, in what the format counts: bytes, row groups, records.
      stop: where it ends.
      num_rows: rows in it; None if only reading it tells.
      num_before: rows between `start` and its first row, which belong to another unit.
      lines_before: of a table alone: lines before `start`, for messages.
      links: of a tar alone: for each link in these bytes, where its header and that of its file begin.
      first_row: number of its first row in the file, where keys contain it and `start` counts something else.
      version: differs once what `start` counts has changed, where reading checks it: of a folder's listing.
    """

    path: str
    start: int
    stop: int
    num_rows: int | None
    num_before: int = 0
    lines_before: int = 0
    links: tuple[tuple[int, int], ...] = ()
    first_row: int = 0
    version: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileLook:
    """What a look into one file found.

    Attributes:
      path: of the file.
      slices: its rows, in order, cut into slices of at most as many rows as asked for; none if it has no rows.
      key_hashes: `hash_keys` of its rows; b"" if only reading tells their keys.
      num_bytes: its size.
      sha256: of the whole file, where it was read; None otherwise.
      content: a hash that differs where the rows do, as far as the look can tell; "" if it cannot.
      notes: what belongs to no row.
      findings: what `Source.survey` needs to know of it, as JSON of bounded size.
      has_keys: whether the look told the keys; set by `without_hashes`.
    """

    path: str
    slices: tuple[FileSlice, ...]
    key_hashes: bytes = b""
    num_bytes: int | None = None
    sha256: str | None = None
    content: str = ""
    notes: tuple[Note, ...] = ()
    findings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    has_keys: bool = True

    def without_hashes(self) -> FileLook:
        """Returns what is kept of the look: its hashes are large, and their digest becomes part of `content`."""
        digest = hashlib.sha256(f"{self.sha256} {self.content} ".encode() + self.key_hashes).hexdigest()
        has_keys = bool(self.key_hashes) or not self.slices
        return dataclasses.replace(self, key_hashes=b"", content=digest, has_keys=has_keys)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What all of a source's files have in common.

    Attributes:
      tables: the tables that its examples have values for, in their order in the dataset.
      extent: what its rows were counted from, such as "1,204 lines" or "13 tars".
      options: what only the looks tell of how it is read, to be recorded with `Source.options`.
    """

    tables: tuple[TableSchema, ...]
    extent: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkUnit:
    """Consecutive slices of a source that become one shard.

    Attributes:
      number: of the unit and its shard.
      files: the slices.
      num_rows: of all slices; None if only reading tells.
      first_row: number of its first row in the source; None if only reading the units before tells.
      max_rows: rows to read of it, if not all.
    """

    number: int
    files: tuple[FileSlice, ...]
    num_rows: int | None
    first_row: int | None
    max_rows: int | None = None


class Source(Protocol):
    """Rows of images and texts. Implementations are frozen, picklable and small; `make_source` makes them."""

    @property
    def kind(self) -> str:
        """The format's kind, for the manifest: "table", "webdataset", "parquet" ..."""
        ...

    @property
    def path(self) -> str:
        """As the user gave it."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """How it is read, as JSON: everything but the path that determines rows, keys and texts."""
        ...

    @property
    def on_repeated_keys(self) -> str:
        """What to do if two rows have the same key; the end of a message."""
        ...

    def files(self) -> list[ListedFile]:
        """Returns the files, in order; reads listings only.

        Raises:
          SourceError: there are none, or the first cannot be opened.
        """
        ...

    def look(self, file: ListedFile, rows_per_slice: int) -> FileLook:
        """Looks into one file.

        Raises:
          SourceError: it cannot be opened, is damaged, or a row breaks a rule; the message says which line or byte.
        """
        ...

    def survey(self, looks: Sequence[FileLook]) -> Survey:
        """Returns what the files have in common, from the looks into all of them (without their hashes).

        Raises:
          SourceError: there are no rows, or what the user named is in none of the files.
        """
        ...

    def keys(self, part: FileSlice) -> Iterator[tuple[str, str]]:
        """Yields (key, its place in words) of each row of a slice, without reading images."""
        ...

    def read(self, part: FileSlice, tables: Sequence[TableSchema]) -> Iterator[Example]:
        """Yields the rows of a slice: exactly `num_rows`, if that is known.

        Args:
          part: the slice.
          tables: those of the survey; what belongs to no table is left out, with a note.

        Raises:
          SourceError: the file has changed since the look.
        """
        ...


def source_tables(*, has_labels: bool, named: Sequence[str] = ()) -> tuple[TableSchema, ...]:
    """Returns the tables of a source whose examples have texts, `named` ones too, and, if `has_labels`, labels."""
    captions = captions_table(named)
    return (captions, labels_table()) if has_labels else (captions,)


def columns_of(examples: Sequence[Example], table: TableSchema) -> dict[str, list[Any]]:
    """Returns a table's columns for some examples, without keys, and without scales, which writers compute."""
    rows = [example.values(table.name) for example in examples]
    names = [column.name for column in table.columns[1:] if column.type != "scale"]
    return {name: [row[name] for row in rows] for name in names}
