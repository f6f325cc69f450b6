"""Which rows can be trained on, and how their embeddings and texts are read.

Promises: one pass over the captions finds the rows and keeps 16 bytes for each. Does not: order or cache anything.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int64, Shaped, UInt

from lit_precompute.schemas.vectors import numpy_type
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_source import Arrays, KeptTexts, TextSource, draw_choices
from lit_precompute.tune.data.texts import nothing_to_tune_on

NUM_BLOCK_THREADS = min(4, os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowIndex:
    """The rows that can be trained on: selected, and with a text. A row's rank is its position among them.

    Attributes:
      row_numbers: each row's number in the dataset, ascending.
      block_ranks: the rows of block b have the ranks [block_ranks[b], block_ranks[b + 1]).
      read_blocks: the numbers of the blocks that contain selected rows, ascending; no other one is read.
      block_texts: the texts to choose from of the rows of block b are [block_texts[b], block_texts[b + 1]) of all.
      num_rows_without_text: selected rows that were left out.
      num_blank_texts: texts of selected rows that were left out.
    """

    row_numbers: Int64[np.ndarray, " n"]
    block_ranks: Int64[np.ndarray, " blocks_and_end"]
    read_blocks: Int64[np.ndarray, " read"]
    block_texts: Int64[np.ndarray, " blocks_and_end"]
    num_rows_without_text: int
    num_blank_texts: int

    def __len__(self) -> int:
        return len(self.row_numbers)

    @property
    def num_texts(self) -> int:
        """Texts to choose from, over all rows."""
        return int(self.block_texts[-1])

    def blocks(self) -> list[int]:
        """Returns the numbers of the blocks that contain such rows."""
        return np.flatnonzero(np.diff(self.block_ranks)).tolist()

    def ranks(self, block: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of a block's rows."""
        return np.arange(*self.block_ranks[block : block + 2])


def index_rows(dataset: Blocks, source: TextSource, rows: Int[np.ndarray, " n"] | None = None) -> RowIndex:
    """Returns the index, by one pass over the texts of the blocks that contain selected rows.

    Raises:
      ValueError: `rows` are not ascending row numbers of the dataset, or no row has a text.
    """
    if rows is not None:
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows[0] < 0 or rows[-1] >= dataset.num_rows or (np.diff(rows) <= 0).any()):
            raise ValueError(f"rows must be ascending, each once and in [0, {dataset.num_rows}), got {rows}")
    read_blocks = blocks_of_rows(dataset, rows)
    dataset.fetch_ahead(read_blocks.tolist(), source.columns)
    kept = [_selected(dataset, rows, block) for block in range(dataset.num_blocks)]
    num_selected = sum(map(len, kept))
    num_texts, num_blank_texts = np.zeros((2, dataset.num_blocks), np.int64)

    def count(block: int) -> None:
        places, counts = kept[block] - dataset.block_span(block)[0], source.counts(block)
        kept[block] = kept[block][counts.texts[places] > 0]
        num_texts[block] = counts.texts[places].sum()
        num_blank_texts[block] = counts.blank[places].sum()

    for_each(count, read_blocks.tolist())
    row_numbers = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    if not len(row_numbers):
        raise ValueError(nothing_to_tune_on(dataset, num_selected))
    return RowIndex(
        row_numbers=row_numbers,
        block_ranks=np.cumsum([0, *map(len, kept)]),
        read_blocks=read_blocks,
        block_texts=np.cumsum([0, *num_texts]),
        num_rows_without_text=num_selected - len(row_numbers),
        num_blank_texts=int(num_blank_texts.sum()),
    )


def _selected(dataset: Blocks, rows: Int64[np.ndarray, " n"] | None, block: int) -> Int64[np.ndarray, " selected"]:
    """Returns the numbers of a block's rows that are among these ascending ones; all for None."""
    start, stop = dataset.block_span(block)
    return np.arange(start, stop) if rows is None else rows[slice(*np.searchsorted(rows, (start, stop)))]


def for_each(do: Callable[[int], None], blocks: Sequence[int]) -> None:
    """Calls a function with the number of each block, of several at once."""
    with concurrent.futures.ThreadPoolExecutor(NUM_BLOCK_THREADS, thread_name_prefix="block") as threads:
        for _ in threads.map(do, blocks):
            pass


class Rows(NamedTuple):
    """Rows in a batch's order, with the stored vectors of their embeddings; int8 vectors have scales."""

    vectors: Shaped[np.ndarray, "n width"]
    scales: Float32[np.ndarray, " n"] | None
    texts: Arrays
    row_numbers: Int64[np.ndarray, " n"]

    def typed(self, vector_type: np.dtype) -> "Rows":
        """Returns the same rows with vectors viewed as their own type instead of unsigned integers."""
        return self._replace(vectors=self.vectors.view(vector_type))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowReader:
    """Reads the rows of an index; both kinds of rows, resident and windowed, use it."""

    dataset: Blocks
    source: TextSource
    index: RowIndex
    seed: int
    batch_size: int

    @property
    def vector_type(self) -> np.dtype:
        """The stored type of vectors."""
        return numpy_type(self.dataset.vector_type)

    def empty_vectors(self, num_rows: int) -> UInt[np.ndarray, "{num_rows} width"]:
        """Returns uninitialised vectors, viewed as unsigned integers: NumPy copies those faster than bfloat16."""
        return np.empty((num_rows, self.dataset.width), f"u{self.vector_type.itemsize}")

    @property
    def has_scales(self) -> bool:
        """Whether vectors are int8 and so have scales."""
        return self.dataset.vector_type == "int8"

    def empty_scales(self, num_rows: int) -> Float32[np.ndarray, " {num_rows}"] | None:
        """Returns uninitialised scales; None where vectors have none."""
        return np.empty(num_rows, np.float32) if self.has_scales else None

    def empty_rows(self, num_rows: int) -> Rows:
        """Returns uninitialised rows."""
        texts = self.source.empty_chosen(num_rows)
        return Rows(self.empty_vectors(num_rows), self.empty_scales(num_rows), texts, np.empty(num_rows, np.int64))

    @property
    def bytes_per_vector(self) -> int:
        """Memory that a vector takes, including its scale."""
        return self.dataset.width * self.vector_type.itemsize + 4 * self.has_scales

    @property
    def num_left_out(self) -> int:
        """How many rows an epoch leaves out."""
        return len(self.index) % self.batch_size

    def left_out(self, epoch: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of the rows that an epoch leaves out, ascending."""
        return random_draws.left_out(self.seed, epoch, len(self.index), self.num_left_out)

    def read_vectors(
        self, block: int, ranks: Int64[np.ndarray, " n"]
    ) -> tuple[UInt[np.ndarray, "n width"], Float32[np.ndarray, " n"] | None]:
        """Returns vectors and scales of these ascending ranks, all of one block, typed as `empty_vectors`' are."""
        stored = self.dataset.read_block(block, ["embedding"]).stored()
        vectors = stored.numbers.view(f"u{self.vector_type.itemsize}")
        places = self._places(block, ranks)
        if len(places) == len(vectors):
            return vectors, stored.scales
        return vectors[places], None if stored.scales is None else stored.scales[places]

    def read_chosen(self, block: int, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns one text per row, for rows of one block."""
        row_numbers = self.index.row_numbers[ranks]
        return self.source.read_chosen(
            block, self._places(block, ranks), lambda counts: draw_choices(self.seed, epoch, row_numbers, counts)
        )

    def _places(self, block: int, ranks: np.ndarray) -> np.ndarray:
        return self.index.row_numbers[ranks] - self.dataset.block_span(block)[0]

    def keep_texts(self) -> KeptTexts:
        """Returns all texts of all rows."""
        kept = self.source.empty_kept(self.index.num_texts)
        starts = np.zeros(len(self.index) + 1, np.int64)

        def fill(block: int) -> None:
            ranks, (first, stop) = self.index.ranks(block), self.index.block_texts[block : block + 2]
            counts, texts = self.source.read(block, self._places(block, ranks))
            starts[ranks + 1] = first + np.cumsum(counts)
            for whole, part in zip(kept, texts, strict=True):
                whole[first:stop] = part

        for_each(fill, self.index.blocks())
        return KeptTexts(self.source, starts, kept)
