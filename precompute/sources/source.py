"""The interface of every source of images: rows in a fixed order, cut into work units.

Promises: a source is checked before any work (`SourceError` says where, rule, value, what to do); its keys are unique
and not empty; reading a unit gives exactly the rows that were planned, in order; a source is picklable and small,
however many rows it has, because a unit carries the byte offsets of its rows.

Not here: decoding. An image that is missing or unreadable is only noticed when its `read_image` is called.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np

from lit_precompute.precompute.images.decoding import ImageError
from lit_precompute.schemas import Note, SourceInfo, TableSchema, captions_table, labels_table
from lit_precompute.schemas.storage import StorageError

Opener = Callable[[str], BinaryIO]
"""Opens a path for reading, seekable. Opening it or reading from it raises FileNotFoundError if there is no such file,
another OSError that says so if this file cannot be read, and `StorageError` if that is not about the file."""

Finder = Callable[[str], list[str]]
"""Returns the paths that match a glob pattern, sorted; may be empty."""

# The errors of a file that exists but cannot be read. Everything else (a lost connection, too many open files) is not
# about the image: it is raised, so that the unit is retried.
_UNREADABLE = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EINVAL}


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
            raise SourceError(f"columns: names must differ and not be empty, got {dataclasses.asdict(self)}")

    def is_default(self, field: str) -> bool:
        """Returns whether a column has its default name."""
        return getattr(self, field) == getattr(SourceColumns, field)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """One row of a source. `read_image` is thread-safe and picklable.

    Attributes:
      key: unique within the source.
      source: where the image comes from, for the table of failures.
      read_image: returns the encoded image; raises ImageError "missing" or "unreadable".
      texts: in the source's order; may be empty.
      label: "" for none.
      notes: what was left out of the row, each in a few words that many rows share ("text is not a string").
      more: values of tables other than `captions` and `labels`, by table and column.
    """

    key: str
    source: str
    read_image: Callable[[], bytes]
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


def cut_units(path_offsets: Sequence[tuple[str, np.ndarray]], rows_per_shard: int) -> list[WorkUnit]:
    """Returns units over consecutive files.

    Args:
      path_offsets: for each file its path and int64 [rows + 1]: where each row begins, and where the last one ends;
        rows that begin at the same byte can only be read together.
      rows_per_shard: rows of each unit but the last.
    """
    if rows_per_shard < 1:
        raise SourceError(f"rows_per_shard must be >= 1, got {rows_per_shard}")
    ends = np.cumsum([len(offsets) - 1 for _, offsets in path_offsets])
    num_rows = int(ends[-1])
    units: list[WorkUnit] = []
    for number, first_row in enumerate(range(0, num_rows, rows_per_shard)):
        last_row = min(first_row + rows_per_shard, num_rows)
        files: list[FileSlice] = []
        index = int(np.searchsorted(ends, first_row, side="right"))
        while index < len(ends) and (first := int(ends[index]) - len(path_offsets[index][1]) + 1) < last_row:
            path, offsets = path_offsets[index]
            start, stop = max(first_row - first, 0), min(last_row - first, len(offsets) - 1)
            if start < stop:
                files.append(_slice(path, offsets, start, stop))
            index += 1
        unit = WorkUnit(number=number, first_row=first_row, num_rows=last_row - first_row, files=tuple(files))
        units.append(unit)
    return units


def _slice(path: str, offsets: np.ndarray, first: int, last: int) -> FileSlice:
    """Returns the bytes of the rows [first, last) of a file, from where the first one can be read."""
    together = int(np.searchsorted(offsets, offsets[first], side="left"))
    after = int(np.searchsorted(offsets, offsets[last - 1], side="right"))
    return FileSlice(
        path=path,
        start=int(offsets[first]),
        stop=int(offsets[after]),
        num_rows=last - first,
        num_before=first - together,
    )


def repeated_hashes(hashes: np.ndarray) -> set[int]:
    """Returns the hashes that occur more than once: their keys may repeat. Uses 8 bytes per key, unlike a set."""
    values, counts = np.unique(hashes, return_counts=True)
    return set(values[counts > 1].tolist())


def check_repeats(keys: Iterable[tuple[str, str]], suspects: set[int], what_to_do: str) -> None:
    """Raises SourceError if a key repeats; only keys of suspect hashes are compared.

    Args:
      keys: (key, its place) of every row.
      suspects: the hashes from `repeated_hashes`.
      what_to_do: the end of the message.
    """
    first_seen: dict[str, str] = {}
    for key, where in keys:
        if hash(key) in suspects:
            if key in first_seen:
                raise SourceError(
                    f"{where}: keys must be unique, {key!r} was first seen at {first_seen[key]}; {what_to_do}"
                )
            first_seen[key] = where


def read_image(opener: Opener, path: str) -> bytes:
    """Returns the bytes of the image at `path`.

    Raises:
      ImageError: "missing" or "unreadable".
      OSError: not about this image: the server or store did not answer, or too many files are open.
    """
    try:
        with opener(path) as stream:
            return stream.read()
    except StorageError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing", f"no such file: {path}") from error
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        raise ImageError("unreadable", f"{path}: {error.strerror}") from error


def open_first(path: str, opener: Opener) -> BinaryIO:
    """Opens a file that the source cannot do without.

    Raises:
      SourceError: it cannot be opened.
    """
    try:
        stream = opener(path)
        stream.read(1)  # a remote file is asked for when it is first read
        stream.seek(0)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened ({error.strerror or error})") from error
    return stream


def check_scheme(path: str, where: str, opener: Opener) -> None:
    """Checks before any work that files like the one at `path` can be opened; whether this one exists is not checked.

    Raises:
      SourceError: the scheme is unknown, or its package is not installed; the message begins with `where`.
    """
    try:
        opener(path).close()
    except StorageError as error:
        raise SourceError(f"{where}: {error}") from error
    except OSError:
        return  # about this one file: it becomes a failed row
