"""Which rows can be trained on.

Promises: one pass over the captions finds the rows and keeps 16 bytes for each. Does not: read embeddings
(`row_reader`), or order anything.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, Int64

from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_source import ReadTexts
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


class Reading(Protocol):
    """What goes on while rows are being found."""

    def begin(self, blocks: Sequence[int], num_selected: int) -> None:
        """Takes the ascending blocks whose texts will be read, and how many of their rows are selected."""
        ...

    def add(
        self,
        block: int,
        num_selected: int,
        row_numbers: Int64[np.ndarray, " n"],
        fields: Sequence[ReadTexts],
        counts: Int64[np.ndarray, "fields n"],
    ) -> None:
        """Takes a block's selected rows: how many, those with a text, the texts, and how many each of those has."""
        ...


def index_rows(
    dataset: Blocks, texts: ChosenTexts, reading: Reading, rows: Int[np.ndarray, " n"] | None = None
) -> RowIndex:
    """Returns the index, by one pass over the texts of the blocks that contain selected rows.

    Others may read more of them in this pass: `reading` is told of each block, by several threads.

    Raises:
      ValueError: `rows` are not ascending row numbers of the dataset, or no row has a text.
    """
    if rows is not None:
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows[0] < 0 or rows[-1] >= dataset.num_rows or (np.diff(rows) <= 0).any()):
            raise ValueError(f"rows must be ascending, each once and in [0, {dataset.num_rows}), got {rows}")
    read_blocks = blocks_of_rows(dataset, rows)
    kept = [_selected(dataset, rows, block) for block in range(dataset.num_blocks)]
    num_selected = sum(map(len, kept))
    reading.begin(read_blocks.tolist(), num_selected)
    # Of each field and block: rows with a text, texts, and their totals.
    sums = np.zeros((len(texts.names), dataset.num_blocks, 5), np.int64)

    def count(block: int) -> None:
        places = kept[block] - dataset.block_span(block)[0]
        fields = texts.read(texts.read_block(dataset, block), places)
        counts = np.stack([each.counts(np.arange(len(places))) for each in fields])
        for field, read in enumerate(fields):
            sums[field, block] = [np.count_nonzero(counts[field]), counts[field].sum(), *read.totals]
        has_text = counts.any(axis=0)
        kept[block] = kept[block][has_text]
        reading.add(block, len(places), kept[block], fields, counts[:, has_text])

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
