"""Rows of a dataset that fits memory: all vectors and all tokens, gathered in an order that is new in each epoch."""

import functools

import numpy as np

from lit_precompute.tune.data import shuffling
from lit_precompute.tune.data.row_index import RowReader, Rows


class ResidentRows:
    """All vectors and all tokens in memory."""

    def __init__(self, reader: RowReader):
        self._reader = reader
        self._tokens = reader.make_token_table()
        self._vectors = reader.empty_vectors(len(reader.index))
        self._scales = reader.empty_scales(len(reader.index))
        for block, ranks in reader.index.blocks():
            here = slice(ranks[0], ranks[-1] + 1)
            self._vectors[here], scales = reader.read_vectors(block, ranks)
            if self._scales is not None:
                self._scales[here] = scales
        # Two, since a reader ahead of the trainer begins an epoch while the last one's batches are still asked for.
        self._order = functools.lru_cache(maxsize=2)(self._make_order)

    def _make_order(self, epoch: int) -> np.ndarray:
        """Returns the ranks of an epoch's rows in its order."""
        kept = np.delete(np.arange(len(self._reader.index)), self._reader.left_out(epoch))
        return kept[shuffling.permutation(shuffling.make_key(self._reader.seed, shuffling.ROWS, epoch), len(kept))]

    def rows(self, epoch: int, start: int, stop: int, *, read_ahead: bool) -> Rows:
        """Returns the rows at these places of the epoch's order."""
        del read_ahead  # everything is here
        reader, ranks = self._reader, self._order(epoch)[start:stop]
        vectors = reader.empty_vectors(len(ranks))
        # 1.5 times as fast as `vectors[ranks]`; nothing is clipped, since ranks are places in the array.
        np.take(self._vectors, ranks, axis=0, out=vectors, mode="clip")
        row_numbers = reader.index.row_numbers[ranks]
        tokens = self._tokens.gather(ranks, row_numbers, seed=reader.seed, epoch=epoch)
        scales = None if self._scales is None else self._scales[ranks]
        return Rows(vectors, scales, tokens, row_numbers).typed(reader.vector_type)

    def close(self) -> None:
        """Nothing to let go of but memory."""
