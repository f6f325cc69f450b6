"""What decoders spend on images: seconds of reading, seconds of decoding, bytes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
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
        self._totals = DecoderTotals()

    @property
    def totals(self) -> DecoderTotals:
        """What was spent so far."""
        return self._totals

    def add(self, more: DecoderTotals) -> None:
        """Adds what a decoder has spent."""
        with self._lock:
            so_far = self._totals
            self._totals = DecoderTotals(
                read_s=so_far.read_s + more.read_s,
                decode_s=so_far.decode_s + more.decode_s,
                num_bytes=so_far.num_bytes + more.num_bytes,
            )

    def read(self, read_image: ReadImage, max_bytes: int | None = None) -> bytes:
        """Reads an encoded image."""
        started_s, num_bytes = time.perf_counter(), 0
        try:
            data = read_image(max_bytes)
            num_bytes = len(data)
            return data
        finally:
            self.add(DecoderTotals(read_s=time.perf_counter() - started_s, num_bytes=num_bytes))

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        """Counts the block as decoding."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            self.add(DecoderTotals(decode_s=time.perf_counter() - started_s))
