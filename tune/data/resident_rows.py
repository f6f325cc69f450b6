"""Rows of a dataset that fits in memory: all vectors and texts, gathered in an order that changes every epoch."""

import concurrent.futures
import copy
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.epoch_order import row_order
from lit_precompute.tune.data.first_pass import FirstPass
from lit_precompute.tune.data.kept_texts import join_texts, read_texts
from lit_precompute.tune.data.row_index import for_each
from lit_precompute.tune.data.row_reader import RowReader, Rows
from lit_precompute.tune.data.vector_reader import ResidentVectors
from lit_precompute.tune.data.views import draw_views


class ResidentRows:
    """All vectors and texts, in memory."""

    def __init__(self, reader: RowReader, first_pass: FirstPass):
        """Takes what the rows are read by, and what was read of them already."""
        self._reader, found = reader, first_pass.texts()
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="texts") as thread:
            texts = thread.submit(read_texts, reader) if found is None else thread.submit(join_texts, reader, found)
            self._vectors = first_pass.vectors() or self._read_vectors(and_texts=found is None)
            self._texts = texts.result()
        self._order = self._cached_orders()

    def reordered(self, reader: RowReader) -> "ResidentRows":
        """Returns the same vectors and texts in the order of another reader of the same rows."""
        other = copy.copy(self)
        other._reader, other._texts = reader, self._texts.reordered(reader)
        other._order = other._cached_orders()
        return other

    def _cached_orders(self) -> Callable[[int], Int64[np.ndarray, " n"]]:
        # Two, since reading ahead starts the next epoch while batches of this one may still be requested.
        return functools.lru_cache(maxsize=2)(self._make_order)

    def _read_vectors(self, *, and_texts: bool) -> ResidentVectors:
        """Returns all vectors, of all views; others may read texts meanwhile."""
        reader, index = self._reader, self._reader.index
        reader.vectors.fetch_ahead(index.blocks(), reader.texts.columns if and_texts else ())
        vectors = ResidentVectors(reader.vectors, len(index))

        def read(block: int) -> None:
            first, stop = index.block_ranks[block : block + 2]
            vectors.read(block, first, index.row_numbers[first:stop])

        for_each(read, index.blocks())
        return vectors

    def _make_order(self, epoch: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of an epoch's rows, in its order."""
        return row_order(self._reader.seed, epoch, len(self._reader.index), self._reader.left_out(epoch))

    def rows(self, epoch: int, start: int, stop: int, *, read_ahead: bool) -> Rows:
        """Returns the rows at positions [start, stop) of the epoch's order."""
        del read_ahead  # everything is in memory
        reader, ranks = self._reader, self._order(epoch)[start:stop]
        row_numbers = reader.index.row_numbers[ranks]
        places = ranks
        if reader.vectors.views:
            views = draw_views(reader.seed, epoch, row_numbers, len(reader.vectors.views))
            places = ranks + self._vectors.distance * views
        vectors = reader.vectors.empty(len(ranks))
        # Faster than `vectors[places]`; nothing is clipped, since places are valid indices.
        np.take(self._vectors.vectors, places, axis=0, out=vectors, mode="clip")
        texts = self._texts.gather(ranks, epoch)
        scales = None if self._vectors.scales is None else self._vectors.scales[places]
        return Rows(vectors, scales, texts, row_numbers).typed(reader.vectors.type)

    def close(self) -> None:
        """Does nothing: only memory is held."""
