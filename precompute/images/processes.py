"""Processes that prepare images, for hosts of many cores; see `ahead`.

Promises: images come back through shared memory, into which they are written once; only the instructions to read them
pass through pipes. The memory has no name, so that a kill leaves nothing behind; processes end with their parent,
however it ends; when one of them dies, the pool is replaced at the next use. Reads that were tried again are counted as
if this process had made them.

How: a slot of the shared memory holds the images of one read, one for each preprocessing. A chunk of reads takes a slot
each and returns them when its last outcome has been used. Several threads may prepare at once: whichever holds slots
can continue without more.
"""

from __future__ import annotations

import collections
import concurrent.futures
import concurrent.futures.process
import ctypes
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lit_precompute.precompute.images.ahead import Outcome, SlottedRead, timed_threads
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.precompute.images.limits import MAX_PIXELS, TIMEOUT_S, PixelsInFlight
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.images.spent import DecoderTotals, Spent
from lit_precompute.precompute.images.timed_threads import StuckError, TimedThreads
from lit_precompute.schemas.storage import count_retried, num_retried
from lit_precompute.towers.preprocessing import Preprocessing

# Reads that go to a process together: enough to make the transfer cheap compared with the work.
_CHUNK, _MAX_CHUNK = 16, 64
# Minimum chunks for each process, so that none waits for its next.
_CHUNKS_EACH = 2

# Of the path of a server's socket: what multiprocessing adds to the temporary folder's, and what macOS allows.
_SOCKET_BYTES, _MAX_SOCKET_BYTES = len("/pymp-xxxxxxxx/listener-xxxxxxxx"), 103

# For each read, and each preprocessing, why there is no image; None if there is one.
_Errors = list[list[ImageError | None]]


class _Outcomes(NamedTuple):
    """What a process returns for a chunk: errors, how many reads were tried again, and what it has spent on them."""

    errors: _Errors
    num_retried: int
    spent: DecoderTotals


class _Chunk(NamedTuple):
    """Reads in progress: the slots of their images, and the pool that handles them."""

    slots: list[int]
    pool: concurrent.futures.ProcessPoolExecutor
    future: concurrent.futures.Future[_Outcomes]


class PreparingProcesses:
    """A pool of processes; see `Preparer`. Its reads must be picklable. It ends with this process, or by `close`."""

    def __init__(
        self,
        preprocessings: Sequence[Preprocessing],
        *,
        num_workers: int,
        ahead: int,
        max_pixels: int = MAX_PIXELS,
        max_pixels_in_flight: int = MAX_PIXELS,
        timeout_s: float = TIMEOUT_S,
    ):
        """Starts the processes in the background; they take seconds to be ready.

        Args:
          preprocessings: how each image is prepared.
          num_workers: number of processes.
          ahead: rows that may be in progress or waiting; raised where processes would have to wait.
          max_pixels: largest image that is decoded.
          max_pixels_in_flight: pixels that all processes together may be decoding.
          timeout_s: how long one image may take to be read, or to be decoded.
        """
        self.preprocessings = tuple(preprocessings)
        self._context = _context()
        self._chunk = min(max(_CHUNK, ahead // (_CHUNKS_EACH * num_workers) // _CHUNK * _CHUNK), _MAX_CHUNK)
        num_slots = -(-max(ahead, _CHUNKS_EACH * _CHUNK * num_workers) // self._chunk) * self._chunk
        num_bytes = num_slots * sum(map(_image_bytes, preprocessings))
        memory = self._context.RawArray(ctypes.c_uint8, num_bytes)
        self._images = _images_in(memory, preprocessings)
        self._begin_with = (memory, self.preprocessings, self._chunk, max_pixels, timeout_s)
        self._num_workers, self._max_pixels_in_flight = num_workers, max_pixels_in_flight
        self._free, self._change = list(range(num_slots)), threading.Condition()
        self._pool = self._new_pool()

    def close(self) -> None:
        """Ends the processes when they have finished their current chunks."""
        self._pool.shutdown()

    def prepare(self, reads: Iterable[KeyedRead], spent: Spent | None = None) -> Iterator[Outcome]:
        """See `Preparer.prepare`.

        Raises:
          RuntimeError: a process was killed from outside.
          StuckError: too many reads or decodings of a process do not end.
        """
        remaining, under_way, spent = iter(reads), collections.deque[_Chunk](), spent or Spent()
        try:
            while self._submit_while_there_are_slots(remaining, under_way):
                chunk = under_way[0]
                for slot, errors in zip(chunk.slots, self._result(chunk, spent), strict=True):
                    yield [error or images[slot] for images, error in zip(self._images, errors, strict=True)]
                self._give_back(under_way.popleft().slots)
        finally:
            # A slot is free once no process writes to it any more.
            concurrent.futures.wait([chunk.future for chunk in under_way if not chunk.future.cancel()])
            for chunk in under_way:
                self._give_back(chunk.slots)

    def _submit_while_there_are_slots(
        self, remaining: Iterator[KeyedRead], under_way: collections.deque[_Chunk]
    ) -> bool:
        """Returns whether anything is in progress afterwards; waits for slots only if nothing is."""
        while slots := self._take(wait=not under_way):
            reads = list(itertools.islice(remaining, self._chunk))
            self._give_back(slots[len(reads) :])
            if not reads:
                break
            under_way.append(self._submit(reads, slots[: len(reads)]))
        return bool(under_way)

    def _submit(self, reads: list[KeyedRead], slots: list[int]) -> _Chunk:
        pool = self._pool
        try:
            return _Chunk(slots, pool, pool.submit(_prepare, reads, slots))
        except concurrent.futures.process.BrokenProcessPool:  # it broke since its last use, so nothing was lost
            self._replace(pool)
            return self._submit(reads, slots)

    def _take(self, *, wait: bool) -> list[int]:
        with self._change:
            if wait:
                self._change.wait_for(lambda: len(self._free) >= self._chunk)
            if len(self._free) < self._chunk:
                return []
            return [self._free.pop() for _ in range(self._chunk)]

    def _give_back(self, slots: list[int]) -> None:
        with self._change:
            self._free += slots
            self._change.notify_all()

    def _result(self, chunk: _Chunk, spent: Spent) -> _Errors:
        try:
            outcomes = chunk.future.result()
        except StuckError:
            # The processes end once they have finished their chunks, and what they are stuck in ends with them.
            chunk.pool.shutdown(wait=False)
            self._replace(chunk.pool)
            raise
        except concurrent.futures.process.BrokenProcessPool as error:
            self._replace(chunk.pool)
            raise RuntimeError(
                "a process that decodes images was ended from outside, perhaps because memory ran out; set fewer "
                "--decode-workers, or --decode-in threads"
            ) from error
        count_retried(outcomes.num_retried)
        spent.add(outcomes.spent)
        return outcomes.errors

    def _replace(self, broken: concurrent.futures.ProcessPoolExecutor) -> None:
        with self._change:
            if self._pool is broken:  # another thread may have replaced it already
                self._pool = self._new_pool()

    def _new_pool(self) -> concurrent.futures.ProcessPoolExecutor:
        # Each pool has its own: what a killed process holds is never given back.
        in_flight = PixelsInFlight(self._max_pixels_in_flight, self._num_workers, processes=self._context)
        begin_with = (*self._begin_with, in_flight)
        pool = concurrent.futures.ProcessPoolExecutor(self._num_workers, self._context, _begin, begin_with)
        pool.submit(os.getpid)  # starts them all
        return pool


def _context() -> Any:
    """Returns how processes are started: from a server that is forked before JAX or Beam start threads here.

    Where there is none, or its socket, a file in the temporary folder, would have too long a path, each starts anew.
    """
    is_short = len(os.fsencode(tempfile.gettempdir())) + _SOCKET_BYTES <= _MAX_SOCKET_BYTES
    if not is_short or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lit_precompute.precompute.images.preloaded"])
    return context


def _image_bytes(preprocessing: Preprocessing) -> int:
    return 3 * preprocessing.size**2 * preprocessing.pixel_type.itemsize


def _images_in(memory: Any, preprocessings: Sequence[Preprocessing]) -> list[np.ndarray]:
    """Returns for each preprocessing the part of the memory with its images, [slots, size, size, 3]."""
    sizes = [*map(_image_bytes, preprocessings)]
    num_slots = len(memory) // sum(sizes)  # a multiple of _CHUNK, so that floats are aligned
    ends = np.cumsum([num_slots * size for size in sizes])
    parts = np.split(np.frombuffer(memory, np.uint8), ends[:-1])
    return [
        part.view(each.pixel_type).reshape(-1, each.size, each.size, 3)
        for part, each in zip(parts, preprocessings, strict=True)
    ]


_images: list[np.ndarray]
_threads: TimedThreads[SlottedRead, Outcome]


def _begin(
    memory: Any,
    preprocessings: Sequence[Preprocessing],
    chunk: int,
    max_pixels: int,
    timeout_s: float,
    in_flight: PixelsInFlight,
) -> None:
    """Initialises a process of the pool."""
    global _images, _threads  # noqa: PLW0603 -- how a pool passes state to its processes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _images = _images_in(memory, preprocessings)
    # One thread is at work at a time; others would be those that are stuck.
    _threads = timed_threads(
        preprocessings,
        num_threads=1,
        ahead=2 * chunk,  # of which a half is waited for at once
        max_pixels=max_pixels,
        in_flight=in_flight,
        timeout_s=timeout_s,
        keep=_keep,
    )
    threads = host_tensorflow().config.threading
    threads.set_intra_op_parallelism_threads(1)  # else as many in each process as there are cores
    threads.set_inter_op_parallelism_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _prepare(reads: list[KeyedRead], slots: list[int]) -> _Outcomes:
    """Writes images to their slots."""
    num_retried_before, spent = num_retried(), Spent()
    outcomes = _threads.map(SlottedRead(read, spent, slot) for read, slot in zip(reads, slots, strict=True))
    errors = [[image if isinstance(image, ImageError) else None for image in outcome] for outcome in outcomes]
    return _Outcomes(errors, num_retried() - num_retried_before, spent.totals)


def _keep(outcome: Outcome, slot: int) -> Outcome:
    """Writes the images of an outcome to their slot: at once, since each image is as large as a processor's cache."""
    kept = list(outcome)
    for place, (images, image) in enumerate(zip(_images, outcome, strict=True)):
        if not isinstance(image, ImageError):
            images[slot] = image
            kept[place] = images[slot]
    return kept
