"""How fast a run is, and whether it is its data that it waits for: means over the last steps.

A step waits for data while its batch is not there and no earlier step is being computed.
"""

import collections
import time
from collections.abc import Callable

# Rates are means over at most this many steps.
_NUM_STEPS = 50


class Rates:
    """Counts the pairs and the waiting of the last steps."""

    def __init__(self, batch_size: int, clock: Callable[[], float] = time.perf_counter):
        """Begins now."""
        self._batch_size, self._clock = batch_size, clock
        self._waited_s = self._skipped_s = 0.0
        # When each step was done, and how long had been waited by then.
        self._marks = collections.deque([(clock(), 0.0)], maxlen=_NUM_STEPS + 1)

    def waited(self, seconds: float) -> None:
        """Adds to the time of waiting."""
        self._waited_s += seconds

    def skip(self, seconds: float) -> None:
        """Leaves so much time out: the run did something else than training."""
        self._skipped_s += seconds

    def step_done(self) -> dict[str, float]:
        """Counts a step; returns `pairs_per_second` and `waiting_share`, the share of time that steps waited."""
        self._marks.append((self._clock() - self._skipped_s, self._waited_s))
        (start_s, waited_before_s), (now_s, waited_s) = self._marks[0], self._marks[-1]
        seconds = now_s - start_s
        return {
            "pairs_per_second": (len(self._marks) - 1) * self._batch_size / seconds,
            "waiting_share": min((waited_s - waited_before_s) / seconds, 1.0),
        }
