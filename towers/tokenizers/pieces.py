"""Pieces of texts, of any number each: what tokenizers make of texts, and what rows of tokens are assembled of.

Promises: pieces of a text that is cut later are those of the whole text, so that rows of any length can be assembled of
pieces that were stored once.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64


class Pieces(NamedTuple):
    """The pieces of some texts, without special tokens.

    Attributes:
      ids: of all texts, one after another.
      counts: how many each text has.
    """

    ids: Int32[np.ndarray, " pieces"]
    counts: Int64[np.ndarray, " texts"]

    @classmethod
    def of_lists(cls, lists: Iterable[Sequence[int]]) -> "Pieces":
        """Returns the pieces of texts that are given as a list of ids each."""
        lists = list(lists)
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        ids = np.fromiter(itertools.chain.from_iterable(lists), np.int32, int(counts.sum()))
        return cls(ids, counts)

    def cut(self, max_pieces: int) -> "Pieces":
        """Returns at most so many of each text, its first."""
        positions = np.arange(len(self.ids)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        return Pieces(self.ids[positions < max_pieces], np.minimum(self.counts, max_pieces))


def assemble(
    pieces: Pieces, length: int, *, first: Sequence[int], last: Sequence[int], padding: int
) -> Int32[np.ndarray, "texts {length}"]:
    """Returns a row of tokens for each text: special tokens, its pieces, special tokens, padding.

    Args:
      pieces: of the texts; those that a row has no room for are cut.
      length: of a row.
      first: special tokens before the pieces.
      last: special tokens behind them, also of a text that is cut.
      padding: fills the rest of a row.
    """
    room = length - len(first) - len(last)
    counts = np.minimum(pieces.counts, room)
    rows = np.full((len(counts), length), padding, np.int32)
    rows[:, : len(first)] = first
    if len(pieces.ids):
        starts = np.cumsum(pieces.counts) - pieces.counts
        positions = np.arange(room)
        found = pieces.ids.take(starts[:, None] + positions, mode="clip")
        np.copyto(rows[:, len(first) : len(first) + room], found, where=positions < counts[:, None])
    for offset, token in enumerate(last, start=len(first)):
        rows[np.arange(len(rows)), counts + offset] = token
    return rows
