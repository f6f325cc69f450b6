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
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from lit_precompute.precompute.images.decoding import EncodedImage, open_image
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.limits import LARGE_FILE_BYTES, MAX_PIXELS, PixelsInFlight
from lit_precompute.precompute.images.preprocessing import MAX_RESIZED_PIXELS, largest_array, prepare
from lit_precompute.precompute.images.reading import LargeFileError, ReadImage
from lit_precompute.precompute.images.spent import Spent
from lit_precompute.towers.preprocessing import Preprocessing

Outcome = np.ndarray | ImageError


class Preparer(Protocol):
    """Workers that read, decode and prepare images."""

    def prepare(self, reads: Iterable[ReadImage], spent: Spent | None = None) -> Iterator[Outcome]:
        """Yields for each read its image, uint8 [size, size, 3], or the error that explains why there is none.

        An image is valid until the next outcome is requested. A bounded number of reads are taken ahead.

        Args:
          reads: what reads the images.
          spent: counts what the workers spend on them.
        """
        ...


def outcome_of(
    read_image: ReadImage, preprocessing: Preprocessing, max_pixels: int, in_flight: PixelsInFlight, spent: Spent
) -> Outcome:
    """Returns the prepared image of a read, or the error that explains why there is none.

    Args:
      read_image: returns the encoded image.
      preprocessing: how it is prepared.
      max_pixels: largest image that is decoded.
      in_flight: shared by all decoders; the image waits until its pixels fit.
      spent: counts what this decoder spends on it.
    """
    try:
        try:
            data = spent.read(read_image, LARGE_FILE_BYTES)
        except LargeFileError:
            with in_flight.large_file():
                return _outcome_of(spent.read(read_image), preprocessing, max_pixels, in_flight, spent)
        return _outcome_of(data, preprocessing, max_pixels, in_flight, spent)
    except ImageError as error:
        return error.without_traceback()


def _outcome_of(
    data: bytes, preprocessing: Preprocessing, max_pixels: int, in_flight: PixelsInFlight, spent: Spent
) -> Outcome:
    try:
        with spent.decoding():
            encoded = open_image(data, max_pixels=max_pixels)
        with in_flight.holding(_pixels_held(encoded, preprocessing)), spent.decoding():
            return _prepared(encoded, preprocessing)
    except ImageError as error:
        return error.without_traceback()


def _prepared(encoded: EncodedImage, preprocessing: Preprocessing) -> Outcome:
    try:
        return prepare(encoded.decode(preprocessing.jpeg), preprocessing)
    except ImageError as error:
        return error.without_traceback()


def _pixels_held(encoded: EncodedImage, preprocessing: Preprocessing) -> int:
    """Returns the pixels that an image counts with: those that are decoded, and those that its resize makes."""
    # The sides may yet be exchanged by the orientation.
    shapes = (encoded.height, encoded.width), (encoded.width, encoded.height)
    num_resized = min(max(largest_array(*shape, preprocessing) for shape in shapes), MAX_RESIZED_PIXELS)
    # Resized pixels are floats, of 12 bytes and 3 for the result; decoding takes 7 bytes a pixel, in some formats 12.
    return encoded.num_pixels + 2 * num_resized


class PreparingThreads:
    """Threads of this process; see `Preparer`."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        *,
        num_workers: int,
        ahead: int,
        max_pixels: int = MAX_PIXELS,
        max_pixels_in_flight: int = MAX_PIXELS,
    ):
        """Starts nothing yet.

        Args:
          preprocessing: how images are prepared.
          num_workers: number of threads, in each use.
          ahead: images that may be in progress or waiting.
          max_pixels: largest image that is decoded.
          max_pixels_in_flight: pixels that all threads together may be decoding.
        """
        self._with = (preprocessing, max_pixels, PixelsInFlight(max_pixels_in_flight))
        self._num_workers, self._ahead = num_workers, ahead

    def prepare(self, reads: Iterable[ReadImage], spent: Spent | None = None) -> Iterator[Outcome]:
        """See `Preparer.prepare`."""
        given = *self._with, spent or Spent()
        waiting: collections.deque[concurrent.futures.Future[Outcome]] = collections.deque()
        remaining = iter(reads)
        with concurrent.futures.ThreadPoolExecutor(self._num_workers, "decode") as pool:

            def submit(count: int) -> None:
                for read_image in itertools.islice(remaining, count):
                    waiting.append(pool.submit(outcome_of, read_image, *given))

            try:
                submit(self._ahead)
                while waiting:
                    future = waiting.popleft()
                    submit(1)
                    yield future.result()
            finally:
                for future in waiting:
                    future.cancel()
