"""Rows of a dataset that does not fit in memory: windows of shuffled blocks.

An epoch permutes the blocks, groups consecutive ones into windows and permutes the rows of each window. So the row at a
position of the epoch's order is a function of the seed, the epoch and the position. At most two windows are in memory:
the current one and, when batches are requested in order, the next one, which threads read ahead. Of a dataset in a
store, the files of the window after that are fetched meanwhile: the first batch waits for the first window alone.
"""

import concurrent.futures
import functools
import threading

import numpy as np
from jaxtyping import Int64, UInt

from lit_precompute.tune.data.epoch_order import EpochPlan, plan_windows, window_order
from lit_precompute.tune.data.kept_texts import KeptTexts
from lit_precompute.tune.data.row_index import NUM_BLOCK_THREADS
from lit_precompute.tune.data.row_reader import RowReader, Rows
from lit_precompute.tune.data.views import read_drawn


class WindowedRows:
    """Windows of shuffled blocks, at most two in memory; with all texts, where they are kept."""

    def __init__(self, reader: RowReader, *, num_windows: int, texts: KeptTexts | None):
        self._reader = reader
        self._texts = texts
        self._num_windows = num_windows
        blocks_per_window = -(-len(reader.index.read_blocks) // num_windows)
        self._most_rows = blocks_per_window * int(np.diff(reader.index.block_ranks).max())
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)
        # By (epoch, window); a window that is still being read is a future without a result.
        self._windows: dict[tuple[int, int], concurrent.futures.Future[Rows]] = {}
        # Arrays of windows no longer needed, for reuse: fresh memory takes as long as reading the vectors into it.
        self._spare: list[UInt[np.ndarray, "most_rows width"]] = []
        self._window_thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="window")
        self._block_threads = concurrent.futures.ThreadPoolExecutor(NUM_BLOCK_THREADS, thread_name_prefix="block")
        self._lock = threading.Lock()

    def _make_plan(self, epoch: int) -> EpochPlan:
        reader, index = self._reader, self._reader.index
        return plan_windows(
            reader.seed,
            epoch,
            index.block_ranks,
            reader.left_out(epoch),
            read_blocks=index.read_blocks,
            num_windows=self._num_windows,
        )

    def rows(self, epoch: int, start: int, stop: int, *, read_ahead: bool) -> Rows:
        """Returns the rows at positions [start, stop) of the epoch's order; may also start to read the next window."""
        with self._lock:
            starts = self._plan(epoch).starts
            batch = self._reader.empty_rows(stop - start)
            first, last = (int(n) for n in np.searchsorted(starts, (start, stop - 1), side="right") - 1)
            for number in range(first, last + 1):
                window = self._window(epoch, number, read_ahead=read_ahead)
                begin, end = max(start, starts[number]), min(stop, starts[number + 1])
                here, there = slice(begin - start, end - start), slice(begin - starts[number], end - starts[number])
                for part, whole in zip(_arrays(batch), _arrays(window), strict=True):
                    part[here] = whole[there]
        return batch.typed(self._reader.vectors.type)

    def _window(self, epoch: int, number: int, *, read_ahead: bool) -> Rows:
        """Returns a window, read unless it is in memory, and releases all others but the next one.

        Its arrays are overwritten once it is released.
        """
        this, after = (epoch, number), self._after(epoch, number)
        for key in [key for key in self._windows if key not in (this, after)]:
            self._release(key)
        if this not in self._windows:
            self._windows[this] = self._window_thread.submit(self._read, *this)
        try:
            window = self._windows[this].result()
        except BaseException:
            self._release(this)  # so that the next request reads it again
            raise
        if read_ahead and after not in self._windows:
            self._windows[after] = self._window_thread.submit(self._read_ahead, *after)
        return window

    def _release(self, key: tuple[int, int]) -> None:
        """Drops a window and keeps its array for reuse; waits if it is being read, so that there are never three."""
        window = self._windows.pop(key)
        if window.exception() is None:
            self._spare.append(window.result().vectors)

    def _after(self, epoch: int, number: int) -> tuple[int, int]:
        """Returns the window that follows another: its epoch and its number."""
        return (epoch, number + 1) if number + 1 < self._num_windows else (epoch + 1, 0)

    def _read_ahead(self, epoch: int, number: int) -> Rows:
        """Returns a window's rows; then the files of the one after it begin to be fetched."""
        rows = self._read(epoch, number)
        self._fetch_ahead(*self._after(epoch, number))
        return rows

    def _fetch_ahead(self, epoch: int, number: int) -> None:
        ranks = self._reader.index.block_ranks
        blocks = [block for block in self._blocks(epoch, number) if ranks[block + 1] > ranks[block]]
        self._reader.vectors.fetch_ahead(blocks, self._reader.texts.columns if self._texts is None else ())

    def _blocks(self, epoch: int, number: int) -> list[int]:
        plan = self._plan(epoch)
        return plan.blocks[plan.borders[number] : plan.borders[number + 1]].tolist()

    def _read(self, epoch: int, number: int) -> Rows:
        """Returns a window's rows in the epoch's order; its array of vectors may have unused rows at the end."""
        self._fetch_ahead(epoch, number)
        reader, blocks = self._reader, self._blocks(epoch, number)
        ranks_of = [self._kept_ranks(block, self._plan(epoch).left_out) for block in blocks]
        ends = np.cumsum([len(ranks) for ranks in ranks_of])
        places_of = np.split(window_order(reader.seed, epoch, number, ends[-1]), ends[:-1])
        ranks = np.empty(ends[-1], np.int64)
        ranks[np.concatenate(places_of)] = np.concatenate(ranks_of)
        texts = reader.texts.empty_chosen(len(ranks)) if self._texts is None else self._texts.gather(ranks, epoch)
        vectors = self._spare.pop() if self._spare else reader.vectors.empty(self._most_rows)
        scales = reader.vectors.empty_scales(len(ranks))

        def fill(block: int, block_ranks: Int64[np.ndarray, " n"], places: Int64[np.ndarray, " n"]) -> None:
            if len(places):
                vectors[places], block_scales = read_drawn(reader, block, block_ranks, epoch)
                if scales is not None:
                    scales[places] = block_scales
            if len(places) and self._texts is None:
                for whole, part in zip(texts, reader.read_chosen(block, block_ranks, epoch), strict=True):
                    whole[places] = part

        try:
            for _ in self._block_threads.map(fill, blocks, ranks_of, places_of):
                pass
        except BaseException:
            self._spare.append(vectors)
            raise
        return Rows(vectors, scales, texts, reader.index.row_numbers[ranks])

    def _kept_ranks(self, block: int, left_out: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " kept"]:
        """Returns the ranks of a block's rows, without those that the epoch leaves out."""
        first, stop = self._reader.index.block_ranks[block : block + 2]
        absent = left_out[np.searchsorted(left_out, first) : np.searchsorted(left_out, stop)]
        return np.delete(np.arange(first, stop), absent - first)

    def close(self) -> None:
        """Ends the threads and releases the windows."""
        self._window_thread.shutdown(cancel_futures=True)
        self._block_threads.shutdown(cancel_futures=True)
        self._windows.clear()
        self._spare.clear()


def _arrays(rows: Rows) -> list[np.ndarray]:
    """Returns all arrays of some rows."""
    scales = [] if rows.scales is None else [rows.scales]
    return [rows.vectors, *scales, *rows.texts, rows.row_numbers]
