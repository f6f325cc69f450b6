"""Reading an embedding dataset: rows by number, by key and by range, blocks in any order.

Promises: rows are located by arithmetic, without an index; embeddings are views of the bytes read, not copies; tables
read together are checked to have the same keys; memory is bounded by the blocks in use. Thread-safe; pickles as a path,
so that another process opens its own files. Blocks give embeddings as stored, and through `vectors()` as float32.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.dataset_files import attachment_name, dataset_folder, read_checked
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.reading.as_opened import AsOpened
from lit_precompute.schemas.reading.open_columns import tables_to_open
from lit_precompute.schemas.reading.open_tables import OpenTables
from lit_precompute.schemas.reading.row_block import RowBlock, concatenate
from lit_precompute.schemas.reading.rows_by_key import RowsByKey
from lit_precompute.schemas.storage import DatasetError, is_url
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS, KEY, ColumnSchema
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.schemas.vectors import VectorType


class EmbeddingDataset:
    """A finished dataset, opened for reading."""

    def __init__(
        self, path: str | os.PathLike[str], tables: Sequence[str] | None = None, embeddings: str | None = None
    ):
        """See `open`."""
        self.path = os.fspath(path)
        self._folder = dataset_folder(path)
        as_opened = AsOpened(self._folder)
        self.manifest = Manifest.read(self._folder)
        self.tables = tables_to_open(self.path, self.manifest, tables, embeddings)
        self._open = OpenTables(self.path, self._folder, as_opened, self.manifest, self.tables)
        self._layout, self._columns = self._open.layout, self._open.columns
        self._keys: pa.ChunkedArray | None = None
        self._by_key = RowsByKey(self.path, self.num_rows, self._open.key_index_name, self._iterate_keys, self._key_at)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, tables: Sequence[str] | None = None, embeddings: str | None = None
    ) -> "EmbeddingDataset":
        """Opens a dataset.

        Args:
          path: a directory, or a URL.
          tables: those to open; None: all aligned ones.
          embeddings: of several tables of embeddings, the one to open; None: all, of which the first is read.

        Raises:
          DatasetError: no manifest, a newer version, an unknown table, a file that is missing or of another size.
        """
        return cls(path, tables, embeddings)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self.num_rows

    @property
    def num_rows(self) -> int:
        """Rows of every aligned table."""
        return self.manifest.num_rows

    @property
    def num_blocks(self) -> int:
        """Blocks of every aligned table."""
        return self._layout.num_blocks

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the opened tables."""
        return self._columns.names

    @property
    def is_remote(self) -> bool:
        """Whether the dataset is in a store: its files are fetched whole when they are first read, and cached here."""
        return is_url(self._folder.path)

    @property
    def embeddings(self) -> str:
        """Name of the table that the column `embedding` is of: the first such table that is open, or `embeddings`."""
        return self._columns.table_of(EMBEDDING) or EMBEDDINGS

    @property
    def tower(self) -> TowerCard:
        """The card of the tower that these embeddings are of."""
        return self.manifest.towers[self.embeddings]

    @property
    def width(self) -> int:
        """Width of the embeddings."""
        width = self._embedding_column.width
        assert width is not None
        return width

    @property
    def vector_type(self) -> VectorType:
        """Type in which the embeddings are stored."""
        stored = self._embedding_column.vector_type
        assert stored is not None
        return stored

    @property
    def _embedding_column(self) -> ColumnSchema:
        columns = self.manifest.table(self.embeddings).columns
        return next(column for column in columns if column.name == EMBEDDING)

    def block_span(self, block: int) -> tuple[int, int]:
        """Returns the rows [start, stop) of a block.

        Raises:
          IndexError: `block` is outside [0, num_blocks); negatives do not wrap.
        """
        return self._layout.span(block)

    def read_block(self, block: int, columns: Sequence[str] | None = None) -> RowBlock:
        """Returns a block of the given columns (None: all); int8 vectors come with their scales.

        Raises:
          IndexError: `block` is outside [0, num_blocks).
          DatasetError: an unknown column, damaged bytes, or tables whose keys differ.
        """
        return self._open.read_block(block, columns)

    def blocks(self, order: Iterable[int] | None = None, columns: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """Yields blocks, one in memory at a time, in the given order (None: first to last).

        Files in a store are fetched ahead where the order is known beforehand: none is given, or a sequence.
        """
        order = range(self.num_blocks) if order is None else order
        if isinstance(order, Sequence):
            self.fetch_ahead(order, columns)
        try:
            for block in order:
                yield self.read_block(block, columns)
        finally:
            self.fetch_ahead((), columns)  # whoever stops early needs no more

    def fetch_ahead(self, blocks: Iterable[int], columns: Sequence[str] | None = None) -> None:
        """Begins to fetch the files of blocks that will be read in this order, if they are in a store.

        Threads fetch them, as far as the cache has room for what was not yet read. What an earlier call has asked for
        and is not begun is dropped.
        """
        self._open.fetch_ahead(blocks, columns)

    def skip(self, blocks: Iterable[int], columns: Sequence[str] | None = None) -> None:
        """Notes that blocks for which `fetch_ahead` was called will not be read: their files need not be fetched."""
        self._open.skip(blocks, columns)

    def rows(self, start: int, stop: int, columns: Sequence[str] | None = None) -> RowBlock:
        """Returns the rows [start, stop); within one block nothing is copied.

        Raises:
          IndexError: not 0 <= start < stop <= num_rows.
        """
        if not 0 <= start < stop <= self.num_rows:
            raise IndexError(f"rows must be within [0, {self.num_rows}) and not empty, got [{start}, {stop})")
        pieces: list[RowBlock] = []
        for block in range(self._layout.block_of(start), self._layout.block_of(stop - 1) + 1):
            first, end = self.block_span(block)
            pieces.append(self.read_block(block, columns).slice(max(start, first) - first, min(stop, end) - first))
        return concatenate(pieces)

    def take(self, row_numbers: Any, columns: Sequence[str] | None = None) -> RowBlock:
        """Returns any rows, in the given order; each block is read once. `first_row` is -1.

        Raises:
          IndexError: a number is outside [0, num_rows); negatives do not wrap.
        """
        numbers = np.asarray(row_numbers, dtype=np.int64)
        if numbers.size == 0 or numbers.min() < 0 or numbers.max() >= self.num_rows:
            raise IndexError(f"rows must be within [0, {self.num_rows}) and not empty, got {numbers.tolist()[:8]}")
        blocks_of = np.array([self._layout.block_of(int(number)) for number in numbers])
        pieces: list[RowBlock] = []
        places: list[Any] = []
        for block in np.unique(blocks_of):
            asked = np.flatnonzero(blocks_of == block)
            pieces.append(self.read_block(int(block), columns).take(numbers[asked] - self.block_span(int(block))[0]))
            places.append(asked)
        return concatenate(pieces).take(np.argsort(np.concatenate(places), kind="stable"))

    def row(self, row: int) -> dict[str, Any]:
        """Returns one row as a dictionary of Python strings, lists and a NumPy vector."""
        return self.rows(row, row + 1).to_rows()[0]

    def row_of(self, key: str) -> int:
        """Returns the number of the row with this key, the first of several.

        The first call on this machine reads all keys, and keeps 16 bytes a row in its cache.

        Raises:
          DatasetError: no row has this key.
        """
        return self._by_key.find(key)

    def keys(self) -> pa.ChunkedArray:
        """Returns all keys in row order (kept in memory after the first call)."""
        if self._keys is None:
            self._keys = pa.chunked_array(list(self._iterate_keys()), type=pa.string())
        return self._keys

    def failures(self) -> pa.Table:
        """Returns the rows that could not be embedded: key, source, reason, message."""
        return self._open.read_failures()

    def attachment(self, name: str) -> bytes:
        """Returns a small file that travels with the dataset.

        Raises:
          DatasetError: the dataset has no such attachment, or it was changed.
        """
        if name not in self.manifest.attachments:
            raise DatasetError(f"{self.path}: no attachment '{name}'; it has {sorted(self.manifest.attachments)}")
        return read_checked(self._folder, attachment_name(name), self.manifest.attachments[name])

    def close(self) -> None:
        """Closes the files."""
        self._open.close()

    def __enter__(self) -> "EmbeddingDataset":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the files."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as a path: another process opens its own files."""
        return EmbeddingDataset, (self.path, self.tables)

    def _iterate_keys(self) -> Iterator[pa.Array]:
        return (block[KEY] for block in self.blocks(columns=[KEY]))

    def _key_at(self, row: int) -> str:
        return self.rows(row, row + 1, [KEY])[KEY][0].as_py()
