"""How far a job is, as its launcher sees it."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.planning.plan import Plan

# Listing the markers in a store takes a while; it may take at most this share of the time.
_LISTING_SHARE, _LEAST_PAUSE_S = 0.05, 5.0


class EmbedProgress(NamedTuple):
    """Rows of the whole job, over all of its datasets, earlier launches included; None where not known (yet).

    `num_retried` counts the reads of this launch that a server or a network broke and that were tried again; those of
    workers in other processes are known at the end.
    """

    num_done: int
    num_rows: int | None
    num_failures: int
    rows_per_second: float | None
    num_retried: int = 0


class Watch:
    """Watches a job's outputs, and the rows that this process embeds."""

    def __init__(self, directories: Sequence[JobDirectory], plan: Plan | None, finished: Sequence[set[int]]):
        """Takes the outputs, the plan and the units that are finished already in each."""
        self._directories, self._plan = directories, plan
        self.num_done_before = self._count(finished)
        self._num_listed, self._next_listing_s = self.num_done_before, 0.0
        self._first_seen: tuple[float, int] | None = None

    def look(self, num_embedded: int, num_failures: int, num_retried: int) -> EmbedProgress:
        """Returns how far the job is.

        Args:
          num_embedded: rows that this process has embedded since the launch, failed ones included.
          num_failures: those that failed.
          num_retried: reads that were tried again.
        """
        num_done = self.num_done_before + num_embedded
        if not num_embedded:
            num_done = max(num_done, self._listed())  # by workers elsewhere
        now_s, rate = time.monotonic(), None
        if self._first_seen is None and num_done > self.num_done_before:
            self._first_seen = now_s, num_done
        if self._first_seen and num_done > self._first_seen[1]:
            rate = (num_done - self._first_seen[1]) / (now_s - self._first_seen[0])
        num_rows = None
        if self._plan and self._plan.num_rows is not None:
            num_rows = self._plan.num_rows * len(self._directories)
        return EmbedProgress(num_done, num_rows, num_failures, rate, num_retried)

    def _listed(self) -> int:
        started_s = time.monotonic()
        if started_s >= self._next_listing_s:
            self._plan = self._plan or self._directories[0].plan()
            self._num_listed = self._count([directory.markers.numbers() for directory in self._directories])
            took_s = time.monotonic() - started_s
            self._next_listing_s = time.monotonic() + max(_LEAST_PAUSE_S, took_s / _LISTING_SHARE)
        return self._num_listed

    def _count(self, finished: Iterable[set[int]]) -> int:
        return sum(count_rows(self._plan, units) for units in finished)


def count_rows(plan: Plan | None, units: Iterable[int]) -> int:
    """Returns how many rows some units have, as far as it is known."""
    if plan is None:
        return 0
    return sum(plan.units[unit].num_rows or 0 for unit in units if unit < len(plan.units))
