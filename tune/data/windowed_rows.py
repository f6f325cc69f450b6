"""Rows of a dataset that does not fit memory: windows of shuffled blocks.

An epoch permutes the blocks; consecutive ones make a window; a window's rows are permuted. So the row at a place of the
epoch's order is a function of the seed, the epoch and the place. At most two windows are in memory: the one in use and,
when batches are asked for in turn, the next, which threads read ahead.
"""

import concurrent.futures
import functools
import os
import threading
from typing import NamedTuple

import numpy as np

from lit_precompute.tune.data import shuffling
from lit_precompute.tune.data.row_index import RowReader, Rows
from lit_precompute.tune.data.texts import TokenTable


class EpochPlan(NamedTuple):
    """An epoch's windows: window w holds the blocks [borders[w], borders[w + 1]) of `blocks`.

    `starts` [num_windows + 1] are the places of the epoch's order at which windows begin; `left_out` are ranks.
    """

    blocks: np.ndarray
    borders: np.ndarray
    starts: np.ndarray
    left_out: np.ndarray


class WindowedRows:
    """Windows of shuffled blocks, two at most in memory; and all tokens too, where a table of them is given."""

    def __init__(self, reader: RowReader, *, num_windows: int, tokens: TokenTable | None):
        self._reader = reader
        self._tokens = tokens
        self._num_windows = num_windows
        blocks_per_window = -(-reader.dataset.num_blocks // num_windows)
        self._most_rows = blocks_per_window * int(np.diff(reader.index.block_ranks).max())
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)
        # By (epoch, window); a window that is being read ahead is a future that has no result yet.
        self._windows: dict[tuple[int, int], concurrent.futures.Future[Rows]] = {}
        # Room for the windows' vectors is used again: fresh memory costs as much time as what is read into it.
        self._spare: list[np.ndarray] = []
        self._window_thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="window")
        self._block_threads = concurrent.futures.ThreadPoolExecutor(
            min(4, os.cpu_count() or 1), thread_name_prefix="block"
        )
        self._lock = threading.Lock()

    def _make_plan(self, epoch: int) -> EpochPlan:
        reader = self._reader
        num_blocks = reader.dataset.num_blocks
        blocks = shuffling.permutation(shuffling.make_key(reader.seed, shuffling.BLOCKS, epoch), num_blocks)
        left_out = reader.left_out(epoch)
        owners = np.searchsorted(reader.index.block_ranks, left_out, side="right") - 1
        num_rows = np.diff(reader.index.block_ranks) - np.bincount(owners, minlength=num_blocks)
        borders = np.arange(self._num_windows + 1) * num_blocks // self._num_windows
        starts = np.concatenate(([0], np.cumsum(num_rows[blocks])))[borders]
        return EpochPlan(blocks, borders, starts, left_out)

    def rows(self, epoch: int, start: int, stop: int, *, read_ahead: bool) -> Rows:
        """Returns the rows at these places of the epoch's order; `read_ahead` also fetches the window after them."""
        with self._lock:
            starts = self._plan(epoch).starts
            batch = self._reader.empty_rows(stop - start)
            first, last = (int(n) for n in np.searchsorted(starts, (start, stop - 1), side="right") - 1)
            for number in range(first, last + 1):
                window = self._window(epoch, number, read_ahead=read_ahead)
                begin, end = max(start, starts[number]), min(stop, starts[number + 1])
                here, there = slice(begin - start, end - start), slice(begin - starts[number], end - starts[number])
                for part, whole in zip(batch, window, strict=True):
                    if part is not None and whole is not None:
                        part[here] = whole[there]
        return batch.typed(self._reader.vector_type)

    def _window(self, epoch: int, number: int, *, read_ahead: bool) -> Rows:
        """Returns a window, from memory where it is there, and lets go of all others but the next one.

        What is returned is overwritten when the window is let go of.
        """
        this = (epoch, number)
        after = (epoch, number + 1) if number + 1 < self._num_windows else (epoch + 1, 0)
        for key in [key for key in self._windows if key not in (this, after)]:
            self._let_go(key)
        if this not in self._windows:
            self._windows[this] = self._window_thread.submit(self._read, *this)
        try:
            window = self._windows[this].result()
        except BaseException:
            self._let_go(this)  # so that asking again reads again
            raise
        if read_ahead and after not in self._windows:
            self._windows[after] = self._window_thread.submit(self._read, *after)
        return window

    def _let_go(self, key: tuple[int, int]) -> None:
        """Forgets a window and keeps its room; waits where it is still being read, so that there are never three."""
        window = self._windows.pop(key)
        if window.exception() is None:
            self._spare.append(window.result().vectors)

    def _read(self, epoch: int, number: int) -> Rows:
        """Returns a window's rows in the epoch's order; there is room for more vectors behind the last."""
        reader, plan = self._reader, self._plan(epoch)
        blocks = plan.blocks[plan.borders[number] : plan.borders[number + 1]].tolist()
        ranks_of = [self._kept_ranks(block, plan.left_out) for block in blocks]
        ends = np.cumsum([len(ranks) for ranks in ranks_of])
        key = shuffling.make_key(reader.seed, shuffling.WINDOW, epoch, number)
        places_of = np.split(shuffling.permutation(key, ends[-1]), ends[:-1])
        ranks = np.empty(ends[-1], np.int64)
        ranks[np.concatenate(places_of)] = np.concatenate(ranks_of)
        row_numbers = reader.index.row_numbers[ranks]
        if self._tokens is None:
            tokens = np.empty((len(ranks), reader.options.max_tokens), np.int32)
        else:
            tokens = self._tokens.gather(ranks, row_numbers, seed=reader.seed, epoch=epoch)
        vectors = self._spare.pop() if self._spare else reader.empty_vectors(self._most_rows)
        scales = reader.empty_scales(len(ranks))

        def fill(block: int, block_ranks: np.ndarray, places: np.ndarray) -> None:
            if len(places):
                vectors[places], block_scales = reader.read_vectors(block, block_ranks)
                if scales is not None:
                    scales[places] = block_scales
            if len(places) and self._tokens is None:
                tokens[places] = reader.encode_chosen(block, block_ranks, epoch)

        try:
            for _ in self._block_threads.map(fill, blocks, ranks_of, places_of):
                pass
        except BaseException:
            self._spare.append(vectors)
            raise
        return Rows(vectors, scales, tokens, row_numbers)

    def _kept_ranks(self, block: int, left_out: np.ndarray) -> np.ndarray:
        """Returns the ranks of a block's rows, without those that the epoch leaves out."""
        first, stop = self._reader.index.block_ranks[block : block + 2]
        absent = left_out[np.searchsorted(left_out, first) : np.searchsorted(left_out, stop)]
        return np.delete(np.arange(first, stop), absent - first)

    def close(self) -> None:
        """Ends the threads and lets go of the windows."""
        self._window_thread.shutdown(cancel_futures=True)
        self._block_threads.shutdown(cancel_futures=True)
        self._windows.clear()
        self._spare.clear()
