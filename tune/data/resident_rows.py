"""Rows of a dataset that fits in memory: all vectors and texts, gathered in an order that changes every epoch."""

import concurrent.futures
import copy
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.epoch_order import row_order
from lit_precompute.tune.data.row_index import for_each
from lit_precompute.tune.data.row_reader import RowReader, Rows
from lit_precompute.tune.data.views import draw_views


class ResidentRows:
    """All vectors and texts, in memory."""

    def __init__(self, reader: RowReader):
        self._reader = reader
        # All rows of the first view, then of the next; without views there is the dataset alone.
        self._vectors = reader.empty_vectors(len(reader.images) * len(reader.index))
        self._scales = reader.empty_scales(len(self._vectors))
        reader.fetch_ahead(reader.index.blocks(), texts=True)
        # Tokenisers and zstd release the interpreter's lock, so that texts are ready soon after the vectors.
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="texts") as thread:
            texts = thread.submit(reader.keep_texts)
            self._read_vectors()
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

    def _read_vectors(self) -> None:
        """Reads all vectors, of all views."""
        reader = self._reader

        def fill(block: int, view: int) -> None:
            ranks = reader.index.ranks(block)
            first = view * len(reader.index)
            here = slice(first + ranks[0], first + ranks[-1] + 1)
            self._vectors[here], scales = reader.read_vectors(block, ranks, view)
            if self._scales is not None:
                self._scales[here] = scales

        for view in range(len(reader.images)):
            for_each(functools.partial(fill, view=view), reader.index.blocks())

    def _make_order(self, epoch: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of an epoch's rows, in its order."""
        return row_order(self._reader.seed, epoch, len(self._reader.index), self._reader.left_out(epoch))

    def rows(self, epoch: int, start: int, stop: int, *, read_ahead: bool) -> Rows:
        """Returns the rows at positions [start, stop) of the epoch's order."""
        del read_ahead  # everything is in memory
        reader, ranks = self._reader, self._order(epoch)[start:stop]
        row_numbers = reader.index.row_numbers[ranks]
        places = ranks
        if reader.views:
            views = draw_views(reader.seed, epoch, row_numbers, len(reader.views))
            places = ranks + len(reader.index) * views
        vectors = reader.empty_vectors(len(ranks))
        # Faster than `vectors[places]`; nothing is clipped, since places are valid indices.
        np.take(self._vectors, places, axis=0, out=vectors, mode="clip")
        texts = self._texts.gather(ranks, epoch)
        scales = None if self._scales is None else self._scales[places]
        return Rows(vectors, scales, texts, row_numbers).typed(reader.vector_type)

    def close(self) -> None:
        """Does nothing: only memory is held."""
