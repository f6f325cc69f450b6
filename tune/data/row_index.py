"""Which rows can be trained on, and how their embeddings and texts are read.

Promises: one pass over the captions finds the rows and keeps 16 bytes for each. Does not: order or cache anything.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int64, Shaped, UInt

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.vectors import numpy_type
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_source import Arrays, ReadTexts
from lit_precompute.tune.data.texts import nothing_to_tune_on

NUM_BLOCK_THREADS = min(4, os.cpu_count() or 1)


class FieldCounts(NamedTuple):
    """What the selected rows have in one field.

    Attributes:
      num_rows: rows with a text.
      num_texts: texts to choose from.
      num_blank: blank texts that were left out.
      num_filtered: names that cameras give that were left out.
    """

    num_rows: int
    num_texts: int
    num_blank: int
    num_filtered: int

    @classmethod
    def sum(cls, counts: Iterable["FieldCounts"]) -> "FieldCounts":
        """Returns what several datasets have together."""
        return cls(*np.sum([*counts], axis=0).tolist())


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowIndex:
    """The rows that can be trained on: selected, and with a text. A row's rank is its position among them.

    Attributes:
      row_numbers: each row's number in the dataset, ascending.
      block_ranks: the rows of block b have the ranks [block_ranks[b], block_ranks[b + 1]).
      read_blocks: the numbers of the blocks that contain selected rows, ascending; no other one is read.
      block_texts: field by field, the texts to choose from of the rows of block b are [block_texts[b],
        block_texts[b + 1]) of all.
      num_rows_without_text: selected rows that were left out.
      fields: what the selected rows have in each field, by its name.
      kept_bytes: memory that all texts take.
    """

    row_numbers: Int64[np.ndarray, " n"]
    block_ranks: Int64[np.ndarray, " blocks_and_end"]
    read_blocks: Int64[np.ndarray, " read"]
    block_texts: Int64[np.ndarray, "fields blocks_and_end"]
    num_rows_without_text: int
    fields: Mapping[str, FieldCounts]
    kept_bytes: int

    def __len__(self) -> int:
        return len(self.row_numbers)

    def blocks(self) -> list[int]:
        """Returns the numbers of the blocks that contain such rows."""
        return np.flatnonzero(np.diff(self.block_ranks)).tolist()

    def ranks(self, block: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of a block's rows."""
        return np.arange(*self.block_ranks[block : block + 2])


def index_rows(dataset: Blocks, texts: ChosenTexts, rows: Int[np.ndarray, " n"] | None = None) -> RowIndex:
    """Returns the index, by one pass over the texts of the blocks that contain selected rows.

    Raises:
      ValueError: `rows` are not ascending row numbers of the dataset, or no row has a text.
    """
    if rows is not None:
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows[0] < 0 or rows[-1] >= dataset.num_rows or (np.diff(rows) <= 0).any()):
            raise ValueError(f"rows must be ascending, each once and in [0, {dataset.num_rows}), got {rows}")
    read_blocks = blocks_of_rows(dataset, rows)
    dataset.fetch_ahead(read_blocks.tolist(), texts.columns)
    kept = [_selected(dataset, rows, block) for block in range(dataset.num_blocks)]
    num_selected = sum(map(len, kept))
    # Of each field and block: rows with a text, texts, blank and filtered ones, and the bytes to keep them.
    sums = np.zeros((len(texts.names), dataset.num_blocks, 5), np.int64)

    def count(block: int) -> None:
        places = kept[block] - dataset.block_span(block)[0]
        has_text = np.zeros(len(places), bool)
        for field, counts in enumerate(texts.counts(texts.read_block(dataset, block))):
            has_text |= counts.texts[places] > 0
            sums[field, block] = [(counts.texts[places] > 0).sum(), *(each[places].sum() for each in counts)]
        kept[block] = kept[block][has_text]

    for_each(count, read_blocks.tolist())
    row_numbers = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    fields = {name: FieldCounts(*sums[field, :, :4].sum(axis=0).tolist()) for field, name in enumerate(texts.names)}
    if not len(row_numbers):
        raise ValueError(nothing_to_tune_on(dataset, num_selected, list(fields)))
    return RowIndex(
        row_numbers=row_numbers,
        block_ranks=np.cumsum([0, *map(len, kept)]),
        read_blocks=read_blocks,
        block_texts=np.cumsum(np.pad(sums[:, :, 1], ((0, 0), (1, 0))), axis=1),
        num_rows_without_text=num_selected - len(row_numbers),
        fields=fields,
        kept_bytes=int(sums[:, :, 4].sum()),
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
    """Reads the rows of an index; both kinds of rows, resident and windowed, use it.

    Attributes:
      dataset: has the texts, and the embeddings unless there are views.
      texts: what rows contribute.
      index: of the rows.
      seed: for orders and draws.
      batch_size: rows of a batch.
      views: of each image one is drawn in each epoch; equal datasets but for the embeddings.
    """

    dataset: Blocks
    texts: ChosenTexts
    index: RowIndex
    seed: int
    batch_size: int
    views: Sequence[Blocks] = ()

    @property
    def images(self) -> Sequence[Blocks]:
        """What embeddings are read of: each view, or the dataset alone."""
        return self.views or (self.dataset,)

    def fetch_ahead(self, blocks: Sequence[int], *, texts: bool) -> None:
        """Begins to fetch the files of blocks, of embeddings and, where asked, of texts."""
        columns = self.texts.columns if texts else ()
        if not self.views:
            self.dataset.fetch_ahead(blocks, ["embedding", *columns])
            return
        if columns:
            self.dataset.fetch_ahead(blocks, columns)
        for view in self.views:
            view.fetch_ahead(blocks, ["embedding"])

    @property
    def vector_type(self) -> np.dtype:
        """The stored type of vectors."""
        return numpy_type(self.images[0].vector_type)

    def empty_vectors(self, num_rows: int) -> UInt[np.ndarray, "{num_rows} width"]:
        """Returns uninitialised vectors, viewed as unsigned integers: NumPy copies those faster than bfloat16."""
        return np.empty((num_rows, self.dataset.width), f"u{self.vector_type.itemsize}")

    @property
    def has_scales(self) -> bool:
        """Whether vectors are int8 and so have scales."""
        return self.images[0].vector_type == "int8"

    def empty_scales(self, num_rows: int) -> Float32[np.ndarray, " {num_rows}"] | None:
        """Returns uninitialised scales; None where vectors have none."""
        return np.empty(num_rows, np.float32) if self.has_scales else None

    def empty_rows(self, num_rows: int) -> Rows:
        """Returns uninitialised rows."""
        texts = self.texts.empty_chosen(num_rows)
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
        self, block: int, ranks: Int64[np.ndarray, " n"], view: int = 0
    ) -> tuple[UInt[np.ndarray, "n width"], Float32[np.ndarray, " n"] | None]:
        """Returns vectors and scales of these ascending ranks, all of one block, typed as `empty_vectors`' are."""
        stored = self.images[view].read_block(block, ["embedding"]).stored()
        vectors = stored.numbers.view(f"u{self.vector_type.itemsize}")
        places = self._places(block, ranks)
        if len(places) == len(vectors):
            return vectors, stored.scales
        return vectors[places], None if stored.scales is None else stored.scales[places]

    def read_chosen(self, block: int, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns the texts that rows of one block contribute in an epoch."""
        fields = self.texts.read(self._read_texts(block), self._places(block, ranks))
        row_numbers = self.index.row_numbers[ranks]
        return self.texts.choose(fields, np.arange(len(ranks)), row_numbers, seed=self.seed, epoch=epoch)

    def _read_texts(self, block: int) -> RowBlock:
        return self.texts.read_block(self.dataset, block)

    def _places(self, block: int, ranks: np.ndarray) -> np.ndarray:
        return self.index.row_numbers[ranks] - self.dataset.block_span(block)[0]

    def keep_texts(self) -> "KeptTexts":
        """Returns all texts of all rows."""
        sources, index = self.texts.sources, self.index
        kept = [source.empty_kept(int(ends[-1])) for source, ends in zip(sources, index.block_texts, strict=True)]
        counts = np.empty((len(sources), len(index)), np.int64)

        def fill(block: int) -> None:
            ranks = index.ranks(block)
            fields = self.texts.read(self._read_texts(block), self._places(block, ranks))
            for field, texts in enumerate(fields):
                counts[field, ranks] = texts.counts(np.arange(len(ranks)))
                here = slice(*index.block_texts[field, block : block + 2])
                for whole, part in zip(kept[field], sources[field].to_kept(texts), strict=True):
                    whole[here] = part

        for_each(fill, index.blocks())
        return KeptTexts(self, [each.kept(own, texts) for each, own, texts in zip(sources, counts, kept, strict=True)])


class KeptTexts:
    """All texts of all rows of an index, in memory, so that a step only gathers them."""

    def __init__(self, reader: RowReader, fields: Sequence[ReadTexts]):
        """Takes what the rows are read by, and the texts of each field."""
        self._reader, self._fields = reader, fields

    def reordered(self, reader: RowReader) -> "KeptTexts":
        """Returns the same texts, drawn as another reader of the same rows does."""
        return KeptTexts(reader, self._fields)

    def gather(self, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns the texts that rows contribute in an epoch."""
        row_numbers = self._reader.index.row_numbers[ranks]
        return self._reader.texts.choose(self._fields, ranks, row_numbers, seed=self._reader.seed, epoch=epoch)
