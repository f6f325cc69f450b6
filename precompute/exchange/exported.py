"""What an export gives a layout: a dataset's rows, block by block, with vectors in a type that other programs know.

Promises: tables that are read side by side are checked to have the same keys; memory is bounded by a block.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest, RowBlock, TableSchema
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.tables import EMBEDDINGS, KEY, is_embeddings

ExportType = Literal["float16", "float32"]
_TEXTS = "text-embeddings-"
# Of a selection at a time.
_LOOK_ROWS = 1 << 20


class Part(NamedTuple):
    """Rows within [start, stop) of the dataset, `num_rows` of which are exported, as the files of a number."""

    number: int
    num_parts: int
    start: int
    stop: int
    num_rows: int


class Exported(NamedTuple):
    """A vector table as it is exported: its width, its stored type, and the type that it becomes."""

    width: int
    stored: str
    type: ExportType


@dataclasses.dataclass(frozen=True)
class ExportRows:
    """Consecutive rows.

    Attributes:
      keys: their names.
      vectors: [n, D], by table.
      texts: the lists of texts, by name, if the dataset has captions.
      labels: "" for none; None if the dataset has no labels.
    """

    keys: Sequence[str]
    vectors: Mapping[str, np.ndarray[Any, Any]]
    texts: Mapping[str, Sequence[Sequence[str]]]
    labels: Sequence[str] | None


class ExportReader:
    """The tables of a dataset that can be exported; use as a context manager.

    Attributes:
      manifest: the dataset's.
      vectors: tables of vectors: `embeddings` or the one that the user named, other embeddings, and one of texts.
      text_names: names of the lists of texts; none without captions.
      has_labels: whether there are labels.
      tables: names of all aligned tables, also of those that no layout knows.
    """

    def __init__(
        self,
        path: str,
        *,
        table: str = EMBEDDINGS,
        vector_type: ExportType | None = None,
        selection: Selection | None = None,
    ):
        """Opens a dataset.

        Args:
          path: a path or URL.
          table: the embeddings that are the layout's only ones, or its first.
          vector_type: type of all vectors; None for float16 where they are stored so, else float32.
          selection: the rows to export; None for all.

        Raises:
          DatasetError: it is no dataset, has no such table of embeddings, or the selection is of another one.
        """
        self.path, self._opened = path, contextlib.ExitStack()
        self.manifest, self.selection = Manifest.read(path), selection
        if selection is not None:
            selection.check(self.manifest)
        tables = {each.name: each for each in self.manifest.tables if each.aligned}
        if table not in tables or not is_embeddings(table):
            known = [name for name in tables if is_embeddings(name)]
            raise DatasetError(f"{path}: no table of embeddings {table!r}; it has {known}; --table names one")
        names = [table, *(name for name in tables if is_embeddings(name) and name != table)]
        names += [name for name in tables if name.startswith(_TEXTS)][:1]
        self._columns = {name: _vector_column(tables[name]) for name in names}
        self.vectors = {name: _as_exported(tables[name], vector_type) for name in names}
        self.text_names = [column.name for column in tables["captions"].columns[1:]] if "captions" in tables else []
        self.has_labels = "labels" in tables
        self.tables = list(tables)
        self._datasets = {name: self._open([name]) for name in names}
        self._words = self._open(self.word_tables) if self.word_tables else None

    @property
    def word_tables(self) -> list[str]:
        """The tables of texts and labels that there are."""
        return [name for name in ("captions", "labels") if name in self.tables]

    @property
    def texts_table(self) -> str | None:
        """The table of the texts' embeddings; the dataset's first, if it has several."""
        return next((name for name in self.vectors if name.startswith(_TEXTS)), None)

    def parts(self, rows_per_part: int | None) -> list[Part]:
        """Returns the rows to export in parts of so many, the last of fewer; None for one part of all.

        Raises:
          DatasetError: there are no rows.
        """
        num_rows = self.manifest.num_rows if self.selection is None else self.selection.num_selected
        if not num_rows:
            raise DatasetError(f"{self.path}: has no rows to export")
        size = min(rows_per_part or num_rows, num_rows)
        counts = [min(size, num_rows - first) for first in range(0, num_rows, size)]
        stops = np.cumsum(counts).tolist() if self.selection is None else self._stops(self.selection, counts)
        return [
            Part(number, len(counts), start, stop, count)
            for number, (start, stop, count) in enumerate(zip([0, *stops], stops, counts, strict=False))
        ]

    def _stops(self, selection: Selection, counts: Sequence[int]) -> list[int]:
        """Returns for each part the row after its last selected one."""
        ends, stops, done = np.cumsum(counts), list[int](), 0
        for first in range(0, self.manifest.num_rows, _LOOK_ROWS):
            rows = selection.rows(first, min(first + _LOOK_ROWS, self.manifest.num_rows))
            here = ends[(ends > done) & (ends <= done + len(rows))]
            stops += [int(rows[end - done - 1]) + 1 for end in here]
            done += len(rows)
        return stops

    def blocks(self, part: Part) -> Iterator[ExportRows]:
        """Yields the rows of a part.

        Raises:
          DatasetError: damaged bytes, tables whose keys differ, or a value that float16 cannot hold.
        """
        for start in range(part.start, part.stop, self.manifest.block_rows):
            stop = min(start + self.manifest.block_rows, part.stop)
            keep = None if self.selection is None else self.selection.mask(start, stop)
            if keep is None or keep.all():
                yield self._read(start, stop)
            elif keep.any():
                yield _kept(self._read(start, stop), np.flatnonzero(keep).tolist())

    def _read(self, start: int, stop: int) -> ExportRows:
        keys: Any = None
        vectors: dict[str, np.ndarray[Any, Any]] = {}
        for name, dataset in self._datasets.items():
            block = dataset.rows(start, stop)
            keys = self._same(keys, block, name, start)
            vectors[name] = self._convert(block, name)
        texts: dict[str, Any] = {}
        labels = None
        if self._words is not None:
            block = self._words.rows(start, stop)
            keys = self._same(keys, block, "captions", start)
            texts = {name: block[name].to_pylist() for name in self.text_names}
            labels = block["label"].to_pylist() if self.has_labels else None
        return ExportRows(keys.to_pylist(), vectors, texts, labels)

    def _same(self, keys: Any, block: RowBlock, table: str, start: int) -> Any:
        if keys is not None and not keys.equals(block[KEY]):
            raise DatasetError(f"{self.path}: table '{table}' has other keys from row {start} on; verify the dataset")
        return block[KEY]

    def _convert(self, block: RowBlock, table: str) -> np.ndarray[Any, Any]:
        column, kind = self._columns[table], np.dtype(self.vectors[table].type)
        stored = block[column]
        if stored.dtype == kind:
            return stored
        values = block.vectors(column)
        with np.errstate(over="ignore"):
            converted = values.astype(kind, copy=False)
        if kind == np.float16 and not np.isfinite(converted).all():
            row = int(np.argmin(np.isfinite(converted).all(axis=1)))
            raise DatasetError(
                f"{self.path}: row '{block[KEY][row]}' of '{table}' has a number too large for float16; leave out "
                "--dtype"
            )
        return converted

    def _open(self, tables: Sequence[str]) -> EmbeddingDataset:
        return self._opened.enter_context(EmbeddingDataset.open(self.path, tables=tables))

    def __enter__(self) -> ExportReader:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the files."""
        self._opened.close()


def _kept(rows: ExportRows, places: Sequence[int]) -> ExportRows:
    def some(values: Sequence[Any]) -> list[Any]:
        return [values[place] for place in places]

    return ExportRows(
        keys=some(rows.keys),
        vectors={table: values[list(places)] for table, values in rows.vectors.items()},
        texts={name: some(values) for name, values in rows.texts.items()},
        labels=None if rows.labels is None else some(rows.labels),
    )


def _vector_column(table: TableSchema) -> str:
    return next(column.name for column in table.columns if column.type == "vector")


def _as_exported(table: TableSchema, wanted: ExportType | None) -> Exported:
    column = next(column for column in table.columns if column.type == "vector")
    assert column.width is not None
    assert column.vector_type is not None
    kind: ExportType = wanted or ("float16" if column.vector_type == "float16" else "float32")
    return Exported(column.width, column.vector_type, kind)
