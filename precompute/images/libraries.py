"""TensorFlow, Pillow and the C library, as decoding and resizing need them: off the accelerators, quiet and frugal."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image


@functools.cache
def host_tensorflow() -> Any:
    """Returns TensorFlow, imported at first use (seconds) and kept off the accelerators, which are JAX's."""
    # Only where the user has not chosen: start-up notes would break progress lines, and oneDNN, which announces itself
    # on standard error, is not used by any operation here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices([], "GPU")
    return tf


_MAX_ARENAS, _MORE_ARENAS = -8, 2  # glibc's M_ARENA_MAX
# From here on, returning memory takes less than 1 % of an image's time.
_MANY_PIXELS = 1 << 22


class _PillowWarningsIgnored:
    """Ignores warnings from Pillow's modules while any thread is inside.

    Their causes are either refused with an error of ours or harmless (damaged EXIF). The standard library's
    catch_warnings restores the wrong filters when threads overlap; here the first thread to enter adds a filter and the
    last to leave removes it.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._num_inside = 0
        self._line: Any = None

    def __enter__(self):
        with self._lock:
            if self._num_inside == 0:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._line = warnings.filters[0]
            self._num_inside += 1

    def __exit__(self, *exception: object):
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0 and self._line in warnings.filters:
                warnings.filters.remove(self._line)  # pyright: ignore[reportAttributeAccessIssue] # a list, typed as a sequence


PILLOW_WARNINGS_IGNORED = _PillowWarningsIgnored()


@contextlib.contextmanager
def freeing(image: Image.Image) -> Iterator[None]:
    """Frees an image after the `with` block, and returns a large one's memory to the system.

    Pillow allocates in blocks that glibc takes from a heap of the calling thread: without this, each of many threads
    would keep the memory of the largest image that it has decoded.
    """
    try:
        yield
    finally:
        num_pixels = image.width * image.height
        image.close()
        if num_pixels >= _MANY_PIXELS and (trim := _malloc_trim()):
            trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Returns glibc's function; None where there is another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def bound_heaps() -> None:
    """Keeps glibc from making more than a heap for each core and a few others, unless the user has set a number.

    To be called before libraries start their threads. Each work unit is decoded in new threads, which get one heap
    after the other, up to eight for each core: what earlier images left in them would be memory that grows with the
    rows.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_MAX_ARENAS, (os.cpu_count() or 1) + _MORE_ARENAS)
