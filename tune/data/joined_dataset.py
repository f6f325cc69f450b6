"""Several datasets read as one: the blocks and rows of the first, then those of the second, and so on.

Promises: row r of dataset d has the number `first_rows[d] + r`. Embeddings are given as stored if all datasets store
them in one type, and otherwise all as float32, which represents every stored type exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.tables import EMBEDDING
from lit_precompute.schemas.vectors import VectorType, scale_column


class Blocks(Protocol):
    """What training reads of a dataset: blocks of rows. `EmbeddingDataset` and `JoinedDataset` are such."""

    @property
    def path(self) -> str: ...

    @property
    def tables(self) -> list[str]: ...

    @property
    def columns(self) -> list[str]: ...

    @property
    def width(self) -> int: ...

    @property
    def vector_type(self) -> VectorType: ...

    @property
    def num_rows(self) -> int: ...

    @property
    def num_blocks(self) -> int: ...

    def block_span(self, block: int) -> tuple[int, int]: ...

    def read_block(self, block: int, columns: Sequence[str] | None = None) -> RowBlock: ...

    def fetch_ahead(self, blocks: Iterable[int], columns: Sequence[str] | None = None) -> None: ...

    def skip(self, blocks: Iterable[int], columns: Sequence[str] | None = None) -> None: ...


class JoinedDataset:
    """See `Blocks`; thread-safe as its datasets are, which it does not close."""

    def __init__(self, datasets: Sequence[Blocks], vector_type: VectorType | None = None):
        """Takes the datasets, and the type to give embeddings in: that of all, or float32 (None: as promised)."""
        self.datasets = datasets
        self.path = ", ".join(dataset.path for dataset in datasets)
        self.width = datasets[0].width
        self.vector_type: VectorType = vector_type or common_type(datasets)
        self._first_blocks = _starts(dataset.num_blocks for dataset in datasets)
        self.first_rows = _starts(dataset.num_rows for dataset in datasets)

    @property
    def tables(self) -> list[str]:
        """Tables that are open of each dataset."""
        return [name for name in self.datasets[0].tables if all(name in each.tables for each in self.datasets)]

    @property
    def columns(self) -> list[str]:
        """Columns that can be read of each dataset."""
        return [name for name in self.datasets[0].columns if all(name in each.columns for each in self.datasets)]

    @property
    def num_rows(self) -> int:
        """Rows of all datasets."""
        return int(self.first_rows[-1])

    @property
    def num_blocks(self) -> int:
        """Blocks of all datasets."""
        return int(self._first_blocks[-1])

    def locate(self, block: int) -> tuple[int, int]:
        """Returns which dataset a block is of, and its number there.

        Raises:
          IndexError: `block` is outside [0, num_blocks).
        """
        if not 0 <= block < self.num_blocks:
            raise IndexError(f"block must be in [0, {self.num_blocks}), got {block}")
        number = int(np.searchsorted(self._first_blocks, block, side="right")) - 1
        return number, block - int(self._first_blocks[number])

    def block_span(self, block: int) -> tuple[int, int]:
        """Returns the rows [start, stop) of a block."""
        number, within = self.locate(block)
        start, stop = self.datasets[number].block_span(within)
        first = int(self.first_rows[number])
        return first + start, first + stop

    def read_block(self, block: int, columns: Sequence[str] | None = None) -> RowBlock:
        """Returns a block of the given columns (None: all) that its dataset has."""
        number, within = self.locate(block)
        found = self.datasets[number].read_block(within, self._known(number, columns))
        values = dict(found.columns)
        if EMBEDDING in values and self.datasets[number].vector_type != self.vector_type:
            values[EMBEDDING] = found.vectors()
            values.pop(scale_column(EMBEDDING), None)
        return dataclasses.replace(found, first_row=self.block_span(block)[0], columns=values)

    def fetch_ahead(self, blocks: Iterable[int], columns: Sequence[str] | None = None) -> None:
        """Begins to fetch the files of blocks that will be read in this order; of each dataset, columns that it has."""
        for number, own in enumerate(self._by_dataset(blocks)):
            self.datasets[number].fetch_ahead(own, self._known(number, columns))

    def skip(self, blocks: Iterable[int], columns: Sequence[str] | None = None) -> None:
        """Notes that blocks for which `fetch_ahead` was called will not be read."""
        for number, own in enumerate(self._by_dataset(blocks)):
            if own:
                self.datasets[number].skip(own, self._known(number, columns))

    def _by_dataset(self, blocks: Iterable[int]) -> list[list[int]]:
        """Returns the numbers that blocks have in their datasets."""
        places: list[list[int]] = [[] for _ in self.datasets]
        for block in blocks:
            number, within = self.locate(block)
            places[number].append(within)
        return places

    def _known(self, number: int, columns: Sequence[str] | None) -> Sequence[str] | None:
        return None if columns is None else [name for name in columns if name in self.datasets[number].columns]


def common_type(datasets: Sequence[Blocks]) -> VectorType:
    """Returns the stored type of all datasets, or float32 where they differ."""
    first = datasets[0].vector_type
    return first if all(dataset.vector_type == first for dataset in datasets) else "float32"


def join_datasets(datasets: Sequence[Blocks]) -> Blocks:
    """Returns datasets as one; a single one is returned as it is."""
    return datasets[0] if len(datasets) == 1 else JoinedDataset(datasets)


def join_rows(
    datasets: Sequence[Blocks], rows_of: Sequence[Int64[np.ndarray, "_"] | None]
) -> Int64[np.ndarray, " n"] | None:
    """Returns chosen rows of each dataset (None: all of it) as rows of the joined dataset; None for all rows of all."""
    if all(rows is None for rows in rows_of):
        return None
    firsts = _starts(dataset.num_rows for dataset in datasets)
    return np.concatenate(
        [
            first + (np.arange(dataset.num_rows) if rows is None else rows)
            for first, dataset, rows in zip(firsts[:-1], datasets, rows_of, strict=True)
        ]
    )


def _starts(counts: Iterable[int]) -> Int64[np.ndarray, " n_and_end"]:
    return np.cumsum([0, *counts], dtype=np.int64)
