"""Images read, decoded and prepared ahead of their consumer, in threads or in processes.

Promises: outcomes come in the order of the reads; an image that cannot be used is an outcome, never an exception; any
other error of a read is raised in the place of its outcome. Threads and processes give the same bytes.

Threads share one interpreter lock, which decoding acquires and releases dozens of times for each image: a few threads
keep up with a tower on CPUs, but any number are too slow for an accelerator, which needs `processes`.
"""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from lit_precompute.precompute.images.decoding import MAX_PIXELS, ImageError
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.towers.preprocessing import Preprocessing

ReadImage = Callable[[], bytes]
"""Returns an encoded image; raises ImageError "missing" or "unreadable". Safe to call from several threads."""

Outcome = np.ndarray | ImageError


class Preparer(Protocol):
    """Workers that read, decode and prepare images."""

    def prepare(self, reads: Iterable[ReadImage]) -> Iterator[Outcome]:
        """Yields for each read its image, uint8 [size, size, 3], or the error that explains why there is none.

        An image is valid until the next outcome is requested. A bounded number of reads are taken ahead.
        """
        ...


def outcome_of(read_image: ReadImage, preprocessing: Preprocessing, max_pixels: int) -> Outcome:
    """Returns the prepared image of a read, or the error that explains why there is none."""
    try:
        return load(read_image(), preprocessing, max_pixels=max_pixels)
    except ImageError as error:
        return error


class PreparingThreads:
    """Threads of this process; see `Preparer`."""

    def __init__(self, preprocessing: Preprocessing, *, num_workers: int, ahead: int, max_pixels: int = MAX_PIXELS):
        """Takes the preprocessing, the number of threads, and how many images may be in progress or waiting."""
        self._preprocessing, self._max_pixels = preprocessing, max_pixels
        self._num_workers, self._ahead = num_workers, ahead

    def prepare(self, reads: Iterable[ReadImage]) -> Iterator[Outcome]:
        """See `Preparer.prepare`."""
        waiting: collections.deque[concurrent.futures.Future[Outcome]] = collections.deque()
        remaining = iter(reads)
        with concurrent.futures.ThreadPoolExecutor(self._num_workers, "decode") as pool:

            def submit(count: int) -> None:
                for read_image in itertools.islice(remaining, count):
                    waiting.append(pool.submit(outcome_of, read_image, self._preprocessing, self._max_pixels))

            try:
                submit(self._ahead)
                while waiting:
                    future = waiting.popleft()
                    submit(1)
                    yield future.result()
            finally:
                for future in waiting:
                    future.cancel()
