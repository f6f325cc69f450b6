"""Where the texts of one field come from, and in what form a batch has them: the seam between rows and texts.

A source knows the texts that each row of a block has in a column, and makes what a batch has of those that are chosen.
Which rows, in which order, and which of a row's texts is not its matter (`chosen_texts`): two sources with equally many
texts for each row choose alike.

Promises: a source's methods may be called from several threads.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int32, Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.vectors import StoredVectors

Texts = Int32[np.ndarray, "n length"] | StoredVectors
"""Texts as a batch has them: tokens, or stored embeddings of a frozen text tower."""

Arrays = tuple[np.ndarray, ...]
"""Texts as they are gathered and copied: arrays of equally many rows."""


class TextTotals(NamedTuple):
    """What some rows have in a field, together.

    Attributes:
      blank: how many blank texts were left out.
      filtered: how many names that cameras give were left out.
      kept_bytes: memory that all texts take where they are kept.
    """

    blank: int = 0
    filtered: int = 0
    kept_bytes: int = 0


class ReadTexts:
    """All texts of some rows, read or kept, of which some are taken.

    Attributes:
      totals: of the texts that were read; of kept ones it is not known any more.
    """

    def __init__(
        self,
        counts: Int64[np.ndarray, " n"],
        get: Callable[[Int64[np.ndarray, " m"] | None], Arrays],
        totals: TextTotals = TextTotals(),  # noqa: B008 -- immutable
    ):
        """Takes how many texts each row has, and what returns those with given numbers over all rows (None: all)."""
        self._starts = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        self._get = get
        self.totals = totals

    def counts(self, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Returns how many texts rows have, given as places among these ones."""
        return self._starts[rows + 1] - self._starts[rows]

    def take(self, rows: Int64[np.ndarray, " n"], choices: Int64[np.ndarray, " n"]) -> Arrays:
        """Returns one text of each row, the one with this number among its own."""
        return self._get(self._starts[rows] + choices)

    def all(self) -> Arrays:
        """Returns all texts of all rows."""
        return self._get(None)


class TextSource(Protocol):
    """The texts that a dataset's rows have in one field.

    Attributes:
      columns: the dataset's columns that it reads.
      bytes_per_chosen: memory that a chosen text takes.
    """

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def bytes_per_chosen(self) -> int: ...

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """Returns the texts of the rows at these ascending places in a block; cheap until some are taken."""
        ...

    def empty_kept(self, num_texts: int) -> Arrays:
        """Returns uninitialised arrays for texts as they are kept."""
        ...

    def to_kept(self, read: ReadTexts) -> Arrays:
        """Returns all texts that were read as they are kept."""
        ...

    def kept(self, counts: Int64[np.ndarray, " n"], kept: Arrays) -> ReadTexts:
        """Returns kept texts, of which each row has so many."""
        ...

    def empty_chosen(self, num_texts: int) -> Arrays:
        """Returns uninitialised arrays for chosen texts."""
        ...

    def absent(self, num_texts: int) -> Arrays:
        """Returns what stands in for texts that are absent."""
        ...

    def in_batch(self, chosen: Arrays) -> Texts:
        """Returns chosen texts as a batch has them."""
        ...
