"""NumPy's arrays of pixels: bytes, grey or RGB, as webdataset's writer stores them. Pickles are never read.

Source: numpy.lib.format (NEP 1), versions 1.0 to 3.0. Its own reader evaluates the header as Python, and is not used.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.formats.opened import OpenedImage

NPY_MAGIC = b"\x93NUMPY"
_FIELDS = {
    "descr": re.compile(rb"'descr'\s*:\s*('[^']*'|\[)"),
    "order": re.compile(rb"'fortran_order'\s*:\s*(True|False)"),
    "shape": re.compile(rb"'shape'\s*:\s*\(([\d,\s]{0,200})\)"),
}
_BYTES = ("'|u1'", "'u1'", "'<u1'", "'>u1'")
_SHAPES = ((), (1,), (3,))


class NpyHeader(NamedTuple):
    """The kind of the values as it is written, the shape, the order of the values, and where they begin."""

    descr: str
    shape: tuple[int, ...]
    order: Any
    size: int


def open_npy(data: bytes) -> OpenedImage:
    """Returns an array of uint8 [height, width], [height, width, 1] or [height, width, 3].

    Raises:
      ImageError: "unsupported", an array of another kind.
      ValueError: the header is damaged.
    """
    header = read_npy_header(data)
    shape = header.shape
    if header.descr not in _BYTES or len(shape) not in (2, 3) or shape[2:] not in _SHAPES or 0 in shape:
        raise ImageError(
            "unsupported",
            f"a NumPy array of {header.descr} {list(shape)}: images are uint8 [height, width, 3] or [height, width]",
        )

    def decode(_: object) -> UInt8[np.ndarray, "height width 3"]:
        values = np.frombuffer(data, np.uint8, math.prod(shape), header.size).reshape(shape, order=header.order)
        pixels = values if values.ndim == 3 else values[:, :, None]
        return np.ascontiguousarray(np.broadcast_to(pixels, (*shape[:2], 3)))

    return OpenedImage(width=shape[1], height=shape[0], decode=decode)


def read_npy_header(data: bytes) -> NpyHeader:
    """Returns what a header says; nothing of it is evaluated.

    Raises:
      ValueError: it is damaged.
    """
    version = data[6]
    start, layout = (10, "<H") if version == 1 else (12, "<I")
    (num_bytes,) = struct.unpack_from(layout, data, 8)
    text = data[start : start + num_bytes]
    found = {name: pattern.search(text) for name, pattern in _FIELDS.items()}
    if len(text) < num_bytes or None in found.values():
        raise ValueError("the header of the array cannot be read")
    fields = {name: match[1].decode() for name, match in found.items() if match}
    shape = tuple(int(number) for number in fields["shape"].split(",") if number.strip())
    return NpyHeader(fields["descr"], shape, "F" if fields["order"] == "True" else "C", start + num_bytes)
