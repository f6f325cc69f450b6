"""Which dataset of a mixture each step's batch is of.

Promises: a function of the seed and the step; nothing is kept but counts that can be made again.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data import random_draws

_DRAWN_AT_ONCE = 1 << 16


class Turns(Protocol):
    """Which dataset each step's batch is of."""

    def place(self, step: int) -> tuple[int, int]:
        """Returns the dataset of a step, and how many steps before it had the same."""
        ...

    def counts(self, num_steps: int) -> Int64[np.ndarray, " datasets"]:
        """Returns how many of the first steps are of each dataset."""
        ...

    def num_steps(self, num_batches: Sequence[int]) -> int:
        """Returns after how many steps (by weights: on average) so many batches of each dataset are seen."""
        ...


class Alternating:
    """See `Turns`: the datasets in turn."""

    def __init__(self, num_datasets: int):
        self._num_datasets = num_datasets

    def place(self, step: int) -> tuple[int, int]:
        """See `Turns`."""
        before, number = divmod(step, self._num_datasets)
        return number, before

    def counts(self, num_steps: int) -> Int64[np.ndarray, " datasets"]:
        """See `Turns`."""
        return (num_steps + self._num_datasets - 1 - np.arange(self._num_datasets)) // self._num_datasets

    def num_steps(self, num_batches: Sequence[int]) -> int:
        """See `Turns`."""
        return self._num_datasets * max(num_batches)


class Drawn:
    """See `Turns`: each step's dataset is drawn by weights, as a function of the seed and the step."""

    def __init__(self, weights: Sequence[float], seed: int):
        self._shares = np.asarray(weights) / sum(weights)
        self._ends = np.cumsum(self._shares)[:-1]
        self._key = random_draws.make_key(seed, random_draws.MIXTURE)
        self._numbers = functools.lru_cache(maxsize=2)(self._draw)
        # How many of the steps before each run of _DRAWN_AT_ONCE are of each dataset.
        self._before = [np.zeros(len(weights), np.int64)]
        self._lock = threading.Lock()

    def _draw(self, run: int) -> Int64[np.ndarray, " n"]:
        """Returns the datasets of a run of steps."""
        draws = random_draws.draw(self._key, np.arange(run * _DRAWN_AT_ONCE, (run + 1) * _DRAWN_AT_ONCE))
        uniform = (draws >> np.uint64(11)) * 2.0**-53  # as many bits as a float64 holds
        return np.searchsorted(self._ends, uniform, side="right").astype(np.int64)

    def _counted(self, numbers: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " datasets"]:
        return np.bincount(numbers, minlength=len(self._shares))

    def place(self, step: int) -> tuple[int, int]:
        """See `Turns`."""
        number = int(self._numbers(step // _DRAWN_AT_ONCE)[step % _DRAWN_AT_ONCE])
        return number, int(self.counts(step)[number])

    def counts(self, num_steps: int) -> Int64[np.ndarray, " datasets"]:
        """See `Turns`."""
        run, within = divmod(num_steps, _DRAWN_AT_ONCE)
        with self._lock:
            for earlier in range(len(self._before) - 1, run):
                self._before.append(self._before[-1] + self._counted(self._numbers(earlier)))
            return self._before[run] + self._counted(self._numbers(run)[:within])

    def num_steps(self, num_batches: Sequence[int]) -> int:
        """See `Turns`."""
        return math.ceil(max(np.asarray(num_batches) / self._shares))
