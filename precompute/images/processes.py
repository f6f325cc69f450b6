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
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from lit_precompute.precompute.images.ahead import Outcome
from lit_precompute.precompute.images.limits import MAX_PIXELS, TIMEOUT_S, PixelsInFlight
from lit_precompute.precompute.images.process_work import (
    Errors,
    Outcomes,
    begin,
    image_bytes,
    images_in,
    prepare_chunk,
)
from lit_precompute.precompute.images.reading import KeyedRead
from lit_precompute.precompute.images.spent import Spent
from lit_precompute.precompute.images.timed_threads import StuckError
from lit_precompute.schemas.storage import count_retried
from lit_precompute.towers.preprocessing import Preprocessing

# Reads that go to a process together: enough to make the transfer cheap compared with the work.
_CHUNK, _MAX_CHUNK = 16, 64
# Minimum chunks for each process, so that none waits for its next.
_CHUNKS_EACH = 2

# Of the path of a server's socket: what multiprocessing adds to the temporary folder's, and what macOS allows.
_SOCKET_BYTES, _MAX_SOCKET_BYTES = len("/pymp-xxxxxxxx/listener-xxxxxxxx"), 103


class _Chunk(NamedTuple):
    """Reads in progress: the slots of their images, and the pool that handles them."""

    slots: list[int]
    pool: concurrent.futures.ProcessPoolExecutor
    future: concurrent.futures.Future[Outcomes]


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
        num_bytes = num_slots * sum(map(image_bytes, preprocessings))
        memory = self._context.RawArray(ctypes.c_uint8, num_bytes)
        self._images = images_in(memory, preprocessings)
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
            reads = list[KeyedRead]()
            try:
                reads += itertools.islice(remaining, self._chunk)
                if reads:
                    under_way.append(self._submit(reads, slots[: len(reads)]))
            except BaseException:
                self._give_back(slots)
                raise
            self._give_back(slots[len(reads) :])
            if not reads:
                break
        return bool(under_way)

    def _submit(self, reads: list[KeyedRead], slots: list[int]) -> _Chunk:
        pool = self._pool
        try:
            return _Chunk(slots, pool, pool.submit(prepare_chunk, reads, slots))
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

    def _result(self, chunk: _Chunk, spent: Spent) -> Errors:
        try:
            outcomes = chunk.future.result()
        except StuckError:
            # The processes end once they have finished their chunks, and what they are stuck in ends with them.
            self._replace(chunk.pool)
            chunk.pool.shutdown(wait=False)
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
        pool = concurrent.futures.ProcessPoolExecutor(self._num_workers, self._context, begin, begin_with)
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
