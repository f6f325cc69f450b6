"""JPEGs that libjpeg-turbo decodes by itself: the bytes of TensorFlow in three quarters of its time.

Promises: the bytes of TensorFlow's kernel, which contains libjpeg-turbo too, or None where they might differ: CMYK
and arithmetic coding, files of which anything is missing or damaged, processors on which nobody compared the two.
"""

from __future__ import annotations

import functools
import platform
import re

import numpy as np

from lit_precompute.precompute.images.formats.frame import Frame
from lit_precompute.towers.preprocessing import JpegDecoding

_SEQUENTIAL, _PROGRESSIVE = frozenset({0xC0, 0xC1}), 0xC2
# What ends a run of coded data: neither an escaped 0xFF, nor a restart, nor padding.
_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7\xff]", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_COMPARED = platform.machine() == "x86_64"


def decode_intact(data: bytes, frame: Frame | None, jpeg: JpegDecoding) -> np.ndarray | None:
    """Returns the pixels as TensorFlow's kernel does, grey repeated; None if that kernel has to decide.

    Args:
      data: the whole file.
      frame: its first frame header, None if there is none.
      jpeg: which discrete cosine transform.
    """
    if not _COMPARED or frame is None or frame.bits != 8 or frame.num_components not in (1, 3):
        return None
    if frame.marker not in _SEQUENTIAL and not (frame.marker == _PROGRESSIVE and _scans_are_complete(data, frame)):
        return None
    import simplejpeg

    try:
        # Strict: anything that libjpeg warns of is an error.
        return simplejpeg.decode_jpeg(data, "RGB", fastdct=jpeg == "fast", strict=True)
    except ValueError:
        return None


def _scans_are_complete(data: bytes, frame: Frame) -> bool:
    """Returns whether the scans of a progressive JPEG hold every bit of every coefficient.

    Otherwise libjpeg smooths what is missing, each of its versions in its own way.
    """
    place, headers = 2, list[bytes]()
    while match := _MARKER.search(data, place):
        place, marker = match.start(), data[match.start() + 1]
        if marker == _END_OF_IMAGE:
            break
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == _START_OF_SCAN:
            headers.append(data[place + 4 : end])
        place = end
    return _are_complete(tuple(headers), frame.num_components)


@functools.lru_cache(maxsize=64)  # encoders have one script each
def _are_complete(headers: tuple[bytes, ...], num_components: int) -> bool:
    missing: dict[int, bytearray] = {}  # of each component, the lowest bit so far of its coefficients
    for header in headers:
        if not header or len(header) != 4 + 2 * header[0]:
            return False
        first, last, low = header[-3], header[-2], header[-1] & 15
        if not first <= last <= 63:
            return False
        for component in header[1:-3:2]:
            missing.setdefault(component, bytearray(b"\xff" * 64))[first : last + 1] = bytes([low]) * (last - first + 1)
    return len(missing) == num_components and not any(map(any, missing.values()))
