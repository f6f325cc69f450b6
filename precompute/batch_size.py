"""Choosing a batch size by measurement: the smallest that is about as fast as any.

Promises: the measurement is short, and a batch that does not fit the device's memory ends it without harm. The choice
depends on the machine and the moment; a job records it, so that later runs of the job use the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.schemas.wording import counted
from lit_precompute.towers.tower import ImageTower

# A rate of at least this share of the best is as good, and a smaller batch waits less and pads less.
_AS_GOOD = 0.95
_LARGEST = 1024
# The first size for each device, and the seconds (with compilation) after which no larger size is tried. Accelerators
# need more images to be busy, take longer to compile, and run longer jobs.
_ON_CPU, _ON_ACCELERATOR = (8, 20.0), (64, 120.0)
# Batches longer than a second or so gain nothing, and stopping has to wait for them.
_LONGEST_BATCH_S = 2.0
# Batches never cross units: with fewer to a unit, decoding and the devices wait for each other, or padding is embedded.
_BATCHES_PER_UNIT = 4


class DoesNotFitError(ValueError):
    """A batch does not fit the devices' memory."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A batch size and the seconds that one batch took, by an embedder that is compiled for it."""

    batch_size: int
    seconds: float
    embedder: Embedder | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.batch_size / self.seconds


def choose(
    measured: Iterable[Measured], *, most_s: float, clock: Callable[[], float] = time.monotonic
) -> list[Measured]:
    """Returns the measurements, the chosen size last; sizes are drawn from `measured` in order.

    It stops when a larger batch is no faster or takes too long, or after `most_s` seconds.
    """
    started_s = clock()
    seen: list[Measured] = []
    for one in measured:
        best = max((earlier.rate for earlier in seen), default=0.0)
        seen.append(one)
        if one.rate * _AS_GOOD < best or one.seconds > _LONGEST_BATCH_S or clock() - started_s > most_s:
            break
    best = max(one.rate for one in seen)
    chosen = next(one for one in seen if one.rate >= _AS_GOOD * best)
    return [*(one for one in seen if one is not chosen), chosen]


def probe(tower: ImageTower, *, num_rows: int | None, rows_per_unit: int = sys.maxsize) -> list[Measured]:
    """Returns the batch sizes that were measured with the tower on this process's devices, the chosen one last.

    Args:
      tower: the tower to run.
      num_rows: number of images, if it is known; much larger batches are not tried.
      rows_per_unit: images that are embedded together; nor are batches of more than a quarter of them.

    Raises:
      DoesNotFitError: not even the smallest batch fits the devices' memory.
    """
    each, most_s = _ON_CPU if jax.default_backend() == "cpu" else _ON_ACCELERATOR
    smallest = each * jax.local_device_count()
    largest = min(_LARGEST * jax.local_device_count(), rows_per_unit // _BATCHES_PER_UNIT)
    if num_rows is not None:
        largest = min(largest, 2 * num_rows - 1)
    return choose(_measure(tower, smallest, max(smallest, largest)), most_s=most_s)


def try_batch(embedder: Embedder) -> None:
    """Embeds one batch of blank images, so that a batch size that does not work is noticed before it matters.

    Raises:
      DoesNotFitError: it does not fit the devices' memory.
    """
    with _memory_in_words(embedder.batch_size):
        batch = embedder.take_batch()
        np.asarray(embedder.start(batch))
    embedder.give_back(batch)


@contextlib.contextmanager
def _memory_in_words(batch_size: int) -> Iterator[None]:
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in reason:
            raise
        raise DoesNotFitError(
            f"a batch of {counted(batch_size, 'image')} does not fit the memory ({reason}); give a smaller "
            "--batch-size, or a smaller tower"
        ) from error


def _measure(tower: ImageTower, smallest: int, largest: int) -> Iterator[Measured]:
    batch_size, first = smallest, Embedder(tower, batch_size=smallest)
    while batch_size <= largest:
        embedder = first.of_size(batch_size)
        images = embedder.take_batch()
        images[:] = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
        try:
            with _memory_in_words(batch_size):
                np.asarray(embedder.start(images))  # compiles
                measured = Measured(batch_size, _fastest_s(embedder, images), embedder)
        except DoesNotFitError:
            if batch_size == smallest:
                raise
            return
        yield measured
        batch_size *= 2


def _fastest_s(embedder: Embedder, images: np.ndarray, runs: int = 3) -> float:
    """Returns the seconds of a batch: the minimum of a few, since disturbances only ever add."""
    fastest, started_s = float("inf"), time.perf_counter()
    for _ in range(runs):
        begun_s = time.perf_counter()
        np.asarray(embedder.start(images))
        fastest = min(fastest, time.perf_counter() - begun_s)
        if time.perf_counter() - started_s > 1.0:
            break
    return fastest
