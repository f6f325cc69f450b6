"""Images read, decoded and prepared ahead of their consumer, in threads or in processes.

Promises: outcomes come in the order of the reads; an image that cannot be used is an outcome, never an exception; any
other error of a read is raised in the place of its outcome. Threads and processes give the same bytes. However many
towers and views an image is prepared for, it is read once, and decoded once (or twice, where towers want JPEGs decoded
in different ways).

Threads share one interpreter lock, which decoding acquires and releases dozens of times for each image: a few threads
keep up with a tower on CPUs, but any number are too slow for an accelerator, which needs `processes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lit_precompute.precompute.images.decoding import EncodedImage, open_image
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.libraries import host_tensorflow
from lit_precompute.precompute.images.limits import LARGE_FILE_BYTES, MAX_PIXELS, TIMEOUT_S, PixelsInFlight
from lit_precompute.precompute.images.preprocessing import MAX_RESIZED_PIXELS, largest_array, prepare
from lit_precompute.precompute.images.reading import KeyedRead, LargeFileError
from lit_precompute.precompute.images.spent import Spent
from lit_precompute.precompute.images.timed_threads import TimedThreads
from lit_precompute.precompute.images.work import Work
from lit_precompute.towers.preprocessing import JpegDecoding, Preprocessing

# Stages of the work, in the words of the message.
_READ, _DECODED = "read", "decoded"

# An image, or the error that explains why there is none.
Prepared = np.ndarray | ImageError
# What became of a read: one of these for each preprocessing.
Outcome = Sequence[Prepared]


class SlottedRead(NamedTuple):
    """A read, what counts what decoders spend on it, and where its images are kept, if they are moved."""

    read: KeyedRead
    spent: Spent
    slot: int = 0


class Preparer(Protocol):
    """Workers that read, decode and prepare images."""

    @property
    def preprocessings(self) -> Sequence[Preprocessing]:
        """How each image is prepared."""
        ...

    def prepare(self, reads: Iterable[KeyedRead], spent: Spent | None = None) -> Iterator[Outcome]:
        """Yields for each read, and each preprocessing, an image, [size, size, 3], or why there is none.

        An image has its preprocessing's `pixel_type`, and is valid until the next outcome is requested. A bounded
        number of reads are taken ahead.

        Args:
          reads: what reads the images.
          spent: counts what the workers spend on them.
        """
        ...


def outcome_of(
    work: Work,
    read: KeyedRead,
    preprocessings: Sequence[Preprocessing],
    max_pixels: int,
    in_flight: PixelsInFlight,
    spent: Spent,
) -> Outcome:
    """Returns the prepared images of a read, or the errors that explain why there are none.

    Args:
      work: is told what is being done, and what is held.
      read: returns the encoded image.
      preprocessings: how it is prepared.
      max_pixels: largest image that is decoded.
      in_flight: shared by all decoders; the image waits until its pixels fit.
      spent: counts what this decoder spends on it.
    """
    given = read.key, preprocessings, max_pixels, in_flight, spent
    try:
        try:
            with work.stage_of(_READ):
                data = spent.read(read.read_image, LARGE_FILE_BYTES)
        except LargeFileError:
            with work.holding(in_flight.large_file()):
                with work.stage_of(_READ):
                    data = spent.read(read.read_image)
                return _outcome_of(work, data, *given)
        return _outcome_of(work, data, *given)
    except ImageError as error:
        return [error.without_traceback()] * len(preprocessings)


def _outcome_of(
    work: Work,
    data: bytes,
    key: str,
    preprocessings: Sequence[Preprocessing],
    max_pixels: int,
    in_flight: PixelsInFlight,
    spent: Spent,
) -> Outcome:
    found: dict[int, Prepared] = {}
    decodings: list[JpegDecoding] = list(dict.fromkeys(each.jpeg for each in preprocessings))
    for jpeg in decodings:
        wanted = {place: each for place, each in enumerate(preprocessings) if each.jpeg == jpeg}
        try:
            with work.stage_of(_DECODED), spent.decoding():
                encoded = open_image(data, max_pixels=max_pixels)
                num_pixels = _pixels_held(encoded, wanted.values())
                if in_flight.take_share(num_pixels):
                    try:
                        found |= _prepared(encoded, key, jpeg, wanted)
                    finally:
                        in_flight.give_back_share()
                    continue
            with work.holding(in_flight.holding(num_pixels)), work.stage_of(_DECODED), spent.decoding():
                found |= _prepared(encoded, key, jpeg, wanted)
        except ImageError as error:
            found |= dict.fromkeys(wanted, error.without_traceback())
    return [found[place] for place in range(len(preprocessings))]


def _prepared(
    encoded: EncodedImage, key: str, jpeg: JpegDecoding, wanted: Mapping[int, Preprocessing]
) -> dict[int, Prepared]:
    """Returns the images that were prepared from one decoding of an image, by their places."""
    try:
        image = encoded.decode(jpeg)
    except ImageError as error:
        return dict.fromkeys(wanted, error.without_traceback())
    return {place: _prepare(image, preprocessing, key) for place, preprocessing in wanted.items()}


def _prepare(image: np.ndarray, preprocessing: Preprocessing, key: str) -> Prepared:
    try:
        return prepare(image, preprocessing, key)
    except ImageError as error:
        return error.without_traceback()


def _pixels_held(encoded: EncodedImage, preprocessings: Iterable[Preprocessing]) -> int:
    """Returns the pixels that an image counts with: those that are decoded, and those that a resize makes."""
    # The sides may yet be exchanged by the orientation. A part of the image makes no more pixels than the whole.
    shapes = (encoded.height, encoded.width), (encoded.width, encoded.height)
    largest = [(max(largest_array(*shape, each) for shape in shapes), each.pixel_type) for each in preprocessings]
    # Decoding takes 7 bytes a pixel, in some formats 12. Resized pixels are floats, of 12 bytes and 3 for the result; a
    # result of floats has 12, beside 8 for the channel in progress.
    made = (min(pixels, MAX_RESIZED_PIXELS) * (2 if kind == np.uint8 else 3) for pixels, kind in largest)
    return encoded.num_pixels + max(made)


def timed_threads(
    preprocessings: Sequence[Preprocessing],
    *,
    num_threads: int,
    ahead: int,
    max_pixels: int,
    in_flight: PixelsInFlight,
    timeout_s: float,
    keep: Callable[[Outcome, int], Outcome] = lambda outcome, slot: outcome,
) -> TimedThreads[SlottedRead, Outcome]:
    """Returns threads that prepare images, each read and each decoding within `timeout_s`.

    Of an outcome that comes in time, `keep` moves the images to their slot, and returns the outcome of those there.
    """

    def work_on(work: Work, slotted: SlottedRead) -> Outcome:
        host_tensorflow()  # importing it takes seconds, which are not the first image's
        read, spent, slot = slotted
        # Outside any stage, so that it is not given up while it moves images: another read would get the slot.
        return keep(outcome_of(work, read, preprocessings, max_pixels, in_flight, spent), slot)

    def too_slow(stage: str) -> Outcome:
        words = f"could not be {stage} within {timeout_s:g} s (--timeout-per-image)"
        return [ImageError("too-slow", words)] * len(preprocessings)

    return TimedThreads(work_on, num_threads=num_threads, ahead=ahead, timeout_s=timeout_s, too_slow=too_slow)


class PreparingThreads:
    """Threads of this process; see `Preparer`."""

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
        """Starts nothing yet.

        Args:
          preprocessings: how each image is prepared.
          num_workers: number of threads, in each use.
          ahead: rows that may be in progress or waiting.
          max_pixels: largest image that is decoded.
          max_pixels_in_flight: pixels that all threads together may be decoding.
          timeout_s: how long one image may take to be read, or to be decoded.
        """
        self.preprocessings = tuple(preprocessings)
        self._threads = timed_threads(
            self.preprocessings,
            num_threads=num_workers,
            ahead=ahead,
            max_pixels=max_pixels,
            in_flight=PixelsInFlight(max_pixels_in_flight, num_workers),
            timeout_s=timeout_s,
        )

    def prepare(self, reads: Iterable[KeyedRead], spent: Spent | None = None) -> Iterator[Outcome]:
        """See `Preparer.prepare`.

        Raises:
          StuckError: too many reads or decodings do not end.
        """
        spent = spent or Spent()
        return self._threads.map(SlottedRead(read, spent) for read in reads)
