"""Pictures made ready ahead of who asks for them: read, decoded and prepared, in threads or in processes.

Promises: outcomes come in the order of the reads; a picture that cannot be taken is an outcome, never an exception;
whatever else a read raises is raised where its outcome would stand. Threads and processes give the same bytes.

Threads share one interpreter lock, which decoding takes and gives back dozens of times a picture: two keep up with a
tower on two cores, and sixteen on an H100's host brought 1,343 pictures a second, no more than one thread does. There
`processes` belongs.
"""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from lit_precompute.precompute.images.decoding import MAX_PIXELS, PictureError
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.towers.preprocessing import Preprocessing

ReadImage = Callable[[], bytes]
"""Returns an encoded picture; raises PictureError "missing" or "unreadable". Several threads may call it at once."""

Outcome = np.ndarray | PictureError


class Preparer(Protocol):
    """Workers that read, decode and prepare pictures."""

    def prepare(self, reads: Iterable[ReadImage]) -> Iterator[Outcome]:
        """Yields for each read its picture, uint8 [size, size, 3], or why there is none.

        A picture is valid until the next outcome is asked for. Reads are taken a bounded number ahead.
        """
        ...


def outcome_of(read_image: ReadImage, preprocessing: Preprocessing, max_pixels: int) -> Outcome:
    """Returns the picture that a read gives, or why it gives none."""
    try:
        return load(read_image(), preprocessing, max_pixels=max_pixels)
    except PictureError as error:
        return error


class PreparingThreads:
    """Threads of this process; see `Preparer`."""

    def __init__(self, preprocessing: Preprocessing, *, num_workers: int, ahead: int, max_pixels: int = MAX_PIXELS):
        """Takes what pictures are prepared for, the threads, and the pictures that may be under way or waiting."""
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
