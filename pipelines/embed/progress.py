"""How far a job is, as its launcher sees it."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lit_precompute.pipelines.embed.job_directory import JobDirectory
from lit_precompute.pipelines.embed.plan import Plan

_LOOK_EVERY_S = 0.5
# Listing the markers in a store takes a while; it may take at most this share of the time.
_LISTING_SHARE, _LEAST_PAUSE_S = 0.05, 5.0


class EmbedProgress(NamedTuple):
    """Rows of the whole job, earlier launches included; None where not known (yet).

    `num_retried` counts the reads of this launch that a server or a network broke and that were tried again; those of
    workers in other processes are known at the end.
    """

    num_done: int
    num_rows: int | None
    num_failures: int
    rows_per_second: float | None
    num_retried: int = 0


class Watch:
    """Watches a job's output, and the rows that this process embeds."""

    def __init__(self, directory: JobDirectory, plan: Plan | None, finished: set[int]):
        """Takes the output, the plan and the units that are finished already."""
        self._directory, self._plan, self._finished = directory, plan, finished
        self.num_done_before = self._count(finished)
        self._num_listed, self._next_listing_s = self.num_done_before, 0.0
        self._first_seen: tuple[float, int] | None = None

    def look(self, num_rows: int, num_failures: int, num_retried: int) -> EmbedProgress:
        """Returns how far the job is.

        Args:
          num_rows: rows that this process has embedded since the launch, failed ones included.
          num_failures: those that failed.
          num_retried: reads that were tried again.
        """
        num_done = self.num_done_before + num_rows
        if not num_rows:
            num_done = max(num_done, self._listed())  # by workers elsewhere
        now_s, rate = time.monotonic(), None
        if self._first_seen is None and num_done > self.num_done_before:
            self._first_seen = now_s, num_done
        if self._first_seen and num_done > self._first_seen[1]:
            rate = (num_done - self._first_seen[1]) / (now_s - self._first_seen[0])
        return EmbedProgress(num_done, self._plan.num_rows if self._plan else None, num_failures, rate, num_retried)

    def _listed(self) -> int:
        started_s = time.monotonic()
        if started_s >= self._next_listing_s:
            self._plan = self._plan or self._directory.plan()
            self._num_listed = self._count(self._directory.markers.numbers())
            took_s = time.monotonic() - started_s
            self._next_listing_s = time.monotonic() + max(_LEAST_PAUSE_S, took_s / _LISTING_SHARE)
        return self._num_listed

    def _count(self, units: set[int]) -> int:
        if self._plan is None:
            return 0
        return sum(self._plan.units[unit].num_rows or 0 for unit in units if unit < len(self._plan.units))


@contextlib.contextmanager
def repeated(look: Callable[[], None]) -> Iterator[None]:
    """Calls `look` regularly from a thread while the block runs."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            look()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
