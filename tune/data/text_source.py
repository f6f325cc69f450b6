"""Where the texts of rows come from, and in what form a batch has them: the seam between rows and texts.

A source knows the texts of each block's rows, and reads them: all, to keep them in memory, or one of each row. Which
rows, in which order, and which of a row's texts is not its matter: the draw is a function of the seed, the epoch and
the row's number alone, so that two sources with equally many texts for each row choose alike.

Promises: a source's methods may be called from several threads.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int32, Int64

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.data import random_draws

Texts = Int32[np.ndarray, "n length"] | StoredVectors
"""Texts as a batch has them: tokens, or stored embeddings of a frozen text tower."""

Arrays = tuple[np.ndarray, ...]
"""Texts as they are gathered and copied: arrays of equally many rows."""

Choose = Callable[[Int64[np.ndarray, " n"]], Int64[np.ndarray, " n"]]
"""Takes how many texts each row has, and returns which of them is chosen."""


class TextCounts(NamedTuple):
    """How many texts each row has to choose from, and how many blank ones were left out."""

    texts: Int64[np.ndarray, " n"]
    blank: Int64[np.ndarray, " n"]


class ReadTexts(NamedTuple):
    """All texts of some rows: how many each row has, and the texts, row after row."""

    counts: Int64[np.ndarray, " n"]
    texts: Arrays


class TextSource(Protocol):
    """The texts of a dataset's rows.

    Attributes:
      columns: the dataset's columns that it reads.
      bytes_per_kept: memory that a kept text takes.
      bytes_per_chosen: memory that a chosen text takes.
    """

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def bytes_per_kept(self) -> int: ...

    @property
    def bytes_per_chosen(self) -> int: ...

    def counts(self, block: int) -> TextCounts:
        """Returns how many texts the rows of a block have."""
        ...

    def read(self, block: int, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """Returns all texts of the rows at these ascending places in a block, as they are kept."""
        ...

    def read_chosen(self, block: int, places: Int64[np.ndarray, " n"], choose: Choose) -> Arrays:
        """Returns one text for each of such rows, which all have some."""
        ...

    def empty_kept(self, num_texts: int) -> Arrays:
        """Returns uninitialised arrays for texts as they are kept."""
        ...

    def empty_chosen(self, num_rows: int) -> Arrays:
        """Returns uninitialised arrays for chosen texts."""
        ...

    def from_kept(self, kept: Arrays) -> Arrays:
        """Returns kept texts as chosen ones."""
        ...

    def in_batch(self, chosen: Arrays) -> Texts:
        """Returns chosen texts as a batch has them."""
        ...


def draw_choices(
    seed: int, epoch: int, row_numbers: Int64[np.ndarray, " n"], counts: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Returns which of its texts each row contributes in an epoch."""
    return random_draws.choose(random_draws.make_key(seed, random_draws.TEXTS, epoch), row_numbers, counts)


class KeptTexts:
    """All texts of some rows, in memory, so that a step only gathers them."""

    def __init__(self, source: TextSource, starts: Int64[np.ndarray, " rows_and_end"], kept: Arrays):
        """Takes the source, where each row's texts start (the last start is their number), and the texts."""
        assert all(starts[-1] == len(array) for array in kept), (starts[-1], [len(array) for array in kept])
        self._source, self._starts, self._kept = source, starts, kept

    def gather(
        self, ranks: Int64[np.ndarray, " n"], row_numbers: Int64[np.ndarray, " n"], *, seed: int, epoch: int
    ) -> Arrays:
        """Returns one text per row, for rows with these ranks among the kept ones and numbers in the dataset."""
        firsts = self._starts[ranks]
        chosen = firsts + draw_choices(seed, epoch, row_numbers, self._starts[ranks + 1] - firsts)
        return self._source.from_kept(tuple(array[chosen] for array in self._kept))
