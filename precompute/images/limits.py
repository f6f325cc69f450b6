"""How large an image may be, and what may be in flight, encoded and decoded: what bounds the memory of decoding."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from typing import Any

# Pillow's own limit: half a gigabyte as RGB, about ten times the largest image of ImageNet.
MAX_PIXELS = 178_956_970
# libpng's own limit. Decoders hold whole rows, some of them several at 8 bytes a pixel.
MAX_SIDE = 1_000_000
# Encoded images above this are read by one decoder at a time; below it, each decoder may hold one while it waits.
LARGE_FILE_BYTES = 32 << 20
# How long one image may take to be read, or to be decoded. A server that does not answer stops the job after four
# minutes at most (`Patience`): an outage is no image's fault, and must be noticed first. 600 s are also enough for an
# image of the largest size that is decoded, on a slow line or a busy machine.
TIMEOUT_S = 600.0


class PixelsInFlight:
    """The pixels that all decoders together hold; a decoder waits until its image fits.

    Promises: a quarter of the pixels is cut into equal shares, so that small images wait for nobody; of the rest, an
    image above the limit is decoded alone, so that any image is decoded in the end; images are admitted in turn, so
    that small ones do not keep a large one waiting. A decoder that holds pixels waits for nothing, so that
    there is no deadlock. What a killed process held is lost with its pool, which shares one of these.
    """

    def __init__(self, most: int, num_shares: int, *, processes: BaseContext | None = None):
        """Holds nothing yet.

        Args:
          most: pixels in flight, unless one image has more.
          num_shares: shares, for as many small images at a time.
          processes: the context of the processes that share it; None for threads of this process.
        """
        primitives: Any = processes or threading
        self._share = most // (4 * num_shares)
        self._most = most - num_shares * self._share
        self._shares: Any = primitives.Semaphore(num_shares)
        self._turn, self._change, self._large_file = primitives.Lock(), primitives.Condition(), primitives.Lock()
        self._num_held: Any = processes.RawValue(ctypes.c_int64) if processes else ctypes.c_int64()

    def take_share(self, num_pixels: int) -> bool:
        """Takes a share for an image, to be given back; returns whether there is one that is large enough."""
        return num_pixels <= self._share and self._shares.acquire(False)  # its name depends on the kind

    def give_back_share(self) -> None:
        """Gives a share back."""
        self._shares.release()

    @contextlib.contextmanager
    def large_file(self) -> Iterator[None]:
        """Lets one decoder at a time read and decode a large file inside the `with` block."""
        with self._large_file:
            yield

    @contextlib.contextmanager
    def holding(self, num_pixels: int) -> Iterator[None]:
        """Waits until the pixels fit, and holds them inside the `with` block."""
        with self._turn, self._change:
            self._change.wait_for(lambda: not self._num_held.value or self._num_held.value + num_pixels <= self._most)
            self._num_held.value += num_pixels
        try:
            yield
        finally:
            with self._change:
                self._num_held.value -= num_pixels
                self._change.notify_all()
