"""Where a batch's rows come from: all of them in memory, or windows of shuffled blocks.

Both answer one question: which rows stand at the places [start, stop) of an epoch's order, and what are their
vectors and tokens? The answer is a function of the seed, the epoch and the places alone.

- `ResidentRows`: an epoch's order is a permutation of all rows.
- `WindowedRows`: the blocks are permuted, consecutive ones make a window, a window's rows are permuted. At most two
  windows are in memory: the one in use and, when batches are asked for in turn, the next, which a thread reads ahead.

Rows take turns at being left out, so that an epoch is a whole number of batches (`shuffling.left_out`).
"""

import concurrent.futures
import functools
import threading
from typing import NamedTuple

import numpy as np

from tune import shuffling
from tune.row_index import RowReader
from tune.texts import TokenTable, encode_chosen


class Rows(NamedTuple):
    """Rows in a batch's order: vectors [n, D] in the stored type, int32 tokens [n, L], int64 row numbers [n]."""

    vectors: np.ndarray
    tokens: np.ndarray
    row_numbers: np.ndarray


class ResidentRows:
    """All vectors and all tokens in memory."""

    def __init__(self, reader: RowReader):
        self._reader = reader
        self._tokens = reader.make_token_table()
        self._vectors = reader.empty_vectors(len(reader.index))
        for block, ranks in reader.index.blocks():
            self._vectors[ranks[0] : ranks[-1] + 1] = reader.read_vectors(block, ranks)
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
        return Rows(vectors.view(reader.vector_type), tokens, row_numbers)

    def close(self) -> None:
        """Nothing to let go of but memory."""


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
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)
        # By (epoch, window); a window that is being read ahead is a future that has no result yet.
        self._windows: dict[tuple[int, int], concurrent.futures.Future[Rows]] = {}
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="window")
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
            vectors = self._reader.empty_vectors(stop - start)
            tokens = np.empty((stop - start, self._reader.options.max_tokens), np.int32)
            row_numbers = np.empty(stop - start, np.int64)
            first, last = (int(n) for n in np.searchsorted(starts, (start, stop - 1), side="right") - 1)
            for number in range(first, last + 1):
                window = self._window(epoch, number, read_ahead=read_ahead)
                begin, end = max(start, starts[number]), min(stop, starts[number + 1])
                here, there = slice(begin - start, end - start), slice(begin - starts[number], end - starts[number])
                for part, whole in zip((vectors, tokens, row_numbers), window, strict=True):
                    part[here] = whole[there]
                del window  # before the next one is read: two are the most
        return Rows(vectors.view(self._reader.vector_type), tokens, row_numbers)

    def _window(self, epoch: int, number: int, *, read_ahead: bool) -> Rows:
        """Returns a window, from memory where it is there, and lets go of all others but the next one."""
        this = (epoch, number)
        after = (epoch, number + 1) if number + 1 < self._num_windows else (epoch + 1, 0)
        for key in [key for key in self._windows if key not in (this, after)]:
            # Waits for a window that is still being read, so that there are never three.
            concurrent.futures.wait([self._windows.pop(key)])
        if this not in self._windows:
            self._windows[this] = self._thread.submit(self._read, *this)
        try:
            window = self._windows[this].result()
        except BaseException:
            del self._windows[this]  # so that asking again reads again
            raise
        if read_ahead and after not in self._windows:
            self._windows[after] = self._thread.submit(self._read, *after)
        return window

    def _read(self, epoch: int, number: int) -> Rows:
        """Returns a window's rows in the epoch's order."""
        reader, plan = self._reader, self._plan(epoch)
        size = int(plan.starts[number + 1] - plan.starts[number])
        places = shuffling.permutation(shuffling.make_key(reader.seed, shuffling.WINDOW, epoch, number), size)
        vectors = reader.empty_vectors(size)
        tokens = np.empty((size, reader.options.max_tokens), np.int32)
        row_numbers = np.empty(size, np.int64)
        for block in plan.blocks[plan.borders[number] : plan.borders[number + 1]].tolist():
            ranks = np.arange(*reader.index.block_ranks[block : block + 2])
            ranks = ranks[~np.isin(ranks, plan.left_out, assume_unique=True)]
            here, places = places[: len(ranks)], places[len(ranks) :]
            if len(ranks):
                vectors[here] = reader.read_vectors(block, ranks)
                tokens[here] = self._encode(block, ranks, epoch)
                row_numbers[here] = reader.index.row_numbers[ranks]
        return Rows(vectors, tokens, row_numbers)

    def _encode(self, block: int, ranks: np.ndarray, epoch: int) -> np.ndarray:
        reader = self._reader
        row_numbers = reader.index.row_numbers[ranks]
        if self._tokens is not None:
            return self._tokens.gather(ranks, row_numbers, seed=reader.seed, epoch=epoch)
        texts = reader.read_texts(block, ranks)
        return encode_chosen(texts, row_numbers, reader.tokenizer, reader.options, seed=reader.seed, epoch=epoch)

    def close(self) -> None:
        """Ends the thread and lets go of the windows."""
        self._thread.shutdown(cancel_futures=True)
        self._windows.clear()
