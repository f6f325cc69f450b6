"""JPEGs that libjpeg-turbo decodes by itself: the bytes of TensorFlow in three quarters of its time.

Promises: the bytes of TensorFlow's kernel, which contains libjpeg-turbo too, or None where they might differ: CMYK
and arithmetic coding, files of which anything is missing or damaged, processors on which nobody compared the two.
"""

from __future__ import annotations

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
    missing: dict[int, bytearray] = {}  # of each component, the lowest bit so far of its coefficients
    place = 2
    while match := _MARKER.search(data, place):
        place, marker = match.start(), data[match.start() + 1]
        if marker == _END_OF_IMAGE:
            break
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place + 4 : place + 2 + length]
        place += 2 + length
        if marker != _START_OF_SCAN:
            continue
        if not segment or len(segment) != 4 + 2 * segment[0]:
            return False
        first, last, low = segment[-3], segment[-2], segment[-1] & 15
        if not first <= last <= 63:
            return False
        for component in segment[1:-3:2]:
            missing.setdefault(component, bytearray(b"\xff" * 64))[first : last + 1] = bytes([low]) * (last - first + 1)
    return len(missing) == frame.num_components and not any(map(any, missing.values()))
