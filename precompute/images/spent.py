"""What decoders spend on images: seconds of reading, seconds of decoding, bytes."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import NamedTuple

from lit_precompute.precompute.images.reading import ReadImage


class DecoderTotals(NamedTuple):
    """Sums over decoders: what `Spent` has counted, in a form that processes send each other.

    Attributes:
      read_s: seconds in which encoded images were read.
      decode_s: seconds in which they were decoded and prepared, without waiting for room in memory.
      num_bytes: encoded bytes.
    """

    read_s: float = 0.0
    decode_s: float = 0.0
    num_bytes: int = 0


class Spent:
    """What decoders have spent, as they measure it. Thread-safe."""

    def __init__(self) -> None:
        """Starts at zero."""
        self._lock = threading.Lock()
        self._read_s = self._decode_s = 0.0
        self._num_bytes = 0

    @property
    def totals(self) -> DecoderTotals:
        """What was spent so far."""
        with self._lock:
            return DecoderTotals(self._read_s, self._decode_s, self._num_bytes)

    def add(self, more: DecoderTotals) -> None:
        """Adds what a decoder has spent."""
        with self._lock:
            self._read_s += more.read_s
            self._decode_s += more.decode_s
            self._num_bytes += more.num_bytes

    def read(self, read_image: ReadImage, max_bytes: int | None = None) -> bytes:
        """Reads an encoded image."""
        started_s, num_bytes = time.perf_counter(), 0
        try:
            data = read_image(max_bytes)
            num_bytes = len(data)
        finally:
            passed_s = time.perf_counter() - started_s
            with self._lock:
                self._read_s += passed_s
                self._num_bytes += num_bytes
        return data

    def decoding(self) -> contextlib.AbstractContextManager[None]:
        """Counts the block as decoding."""
        return _Decoding(self)

    def add_decoding(self, seconds: float) -> None:
        """Adds seconds of decoding."""
        with self._lock:
            self._decode_s += seconds


class _Decoding:
    """A block that counts as decoding; a class, because a generator would take twice as long."""

    __slots__ = ("_spent", "_started_s")

    def __init__(self, spent: Spent):
        self._spent = spent

    def __enter__(self) -> None:
        self._started_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._spent.add_decoding(time.perf_counter() - self._started_s)
