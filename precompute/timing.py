"""Where the time of embedding goes: what the embedding thread does, what decoders spend, when the devices are busy.

Promises: phases exclude one another and add up to the time since the clock began; the devices' seconds of all threads
of a process add up to the time in which there was a batch to compute. Costs about a microsecond a row and a wake-up of
one thread a batch.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeVar, get_args

import jax
import numpy as np

from lit_precompute.precompute.images.spent import Spent

Item = TypeVar("Item")

# Loading and compiling; rows of the source, without their images; a prepared image; embeddings; writing; the rest.
Phase = Literal["starting", "reading_rows", "waiting_for_images", "waiting_for_device", "writing", "other"]


class PhaseClock:
    """The seconds of one thread by phase."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        """Begins in the phase `other`."""
        self._clock, self._since = clock, clock()
        self._phase: Phase = "other"
        self._seconds: dict[Phase, float] = dict.fromkeys(get_args(Phase), 0.0)

    def seconds(self) -> dict[Phase, float]:
        """Returns the seconds of each phase until now."""
        self._enter(self._phase)
        return dict(self._seconds)

    @contextlib.contextmanager
    def during(self, phase: Phase) -> Iterator[None]:
        """Counts the block as a phase; a phase inside it is not counted twice."""
        before = self._enter(phase)
        try:
            yield
        finally:
            self._enter(before)

    def each(self, phase: Phase, items: Iterable[Item]) -> Iterator[Item]:
        """Yields the items; counts what it takes to get each of them as a phase."""
        remaining = iter(items)
        while True:
            before = self._enter(phase)
            try:
                item = next(remaining)
            except StopIteration:
                return
            finally:
                self._enter(before)
            yield item

    def _enter(self, phase: Phase) -> Phase:
        """Begins a phase; returns the one before."""
        now = self._clock()
        self._seconds[self._phase] += now - self._since
        before, self._phase, self._since = self._phase, phase, now
        return before


class TimedBatch(NamedTuple):
    """A batch that was computed.

    Attributes:
      num_rows: rows in it, without padding.
      num_bytes: of their prepared images.
      latency_s: seconds from its start until its embeddings were computed, queueing included.
    """

    num_rows: int
    num_bytes: int
    latency_s: float


class _Busy:
    """When any thread of this process has a batch on the devices; each second is given out once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_batches, self._since = 0, 0.0

    def begin(self) -> None:
        with self._lock:
            if not self._num_batches:
                self._since = time.perf_counter()
            self._num_batches += 1

    def end(self) -> float:
        """Ends a batch; returns the busy seconds since the last batch ended, or the first of these began."""
        with self._lock:
            now = time.perf_counter()
            busy_s, self._since = now - self._since, now
            self._num_batches -= 1
            return busy_s


_BUSY = _Busy()


class DeviceTime:
    """When the devices compute the batches of one thread. Thread-safe.

    Attributes:
      busy_s: seconds in which they had a batch, transfers included; each second counts for one thread only.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        self._lock = threading.Lock()
        self._batches: list[TimedBatch] = []
        self.busy_s = 0.0
        self._observer: concurrent.futures.Executor

    def take_batches(self) -> list[TimedBatch]:
        """Returns the batches that were completed since the last call."""
        with self._lock:
            batches, self._batches = self._batches, []
            return batches

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Allows `start` within the block; all batches are complete when it ends.

        A thread of its own waits for each: the embedding thread looks at a result only when it needs it.
        """
        with concurrent.futures.ThreadPoolExecutor(1, "device") as self._observer:
            yield

    def start(self, num_rows: int, begin: Callable[[np.ndarray], jax.Array], images: np.ndarray) -> jax.Array:
        """Starts a batch, and returns at once what `begin` returns for its images.

        Args:
          num_rows: rows in it, without padding.
          begin: starts it.
          images: of the batch.
        """
        started_s = time.perf_counter()
        _BUSY.begin()
        try:
            vectors = begin(images)
        except BaseException:
            _BUSY.end()
            raise
        num_bytes = images.nbytes // len(images) * num_rows
        self._observer.submit(self._observe, num_rows, num_bytes, started_s, vectors)
        return vectors

    def _observe(self, num_rows: int, num_bytes: int, started_s: float, vectors: jax.Array) -> None:
        try:
            jax.block_until_ready(vectors)  # its error, if any, is raised where the vectors are used
        finally:
            busy_s, latency_s = _BUSY.end(), time.perf_counter() - started_s
            with self._lock:
                self.busy_s += busy_s
                self._batches.append(TimedBatch(num_rows, num_bytes, latency_s))


@dataclasses.dataclass(frozen=True)
class EmbedTimes:
    """Where one embedding thread's time goes, what decoders spend on its images, and the devices on its batches."""

    phases: PhaseClock = dataclasses.field(default_factory=PhaseClock)
    decoders: Spent = dataclasses.field(default_factory=Spent)
    device: DeviceTime = dataclasses.field(default_factory=DeviceTime)
