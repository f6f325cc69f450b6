"""NumPy's arrays of pixels: bytes, grey or RGB, as webdataset's writer stores them. Pickles are never read."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import UInt8

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.formats.npy_header import read_npy_header
from lit_precompute.precompute.images.formats.opened import OpenedImage

_BYTES = ("'|u1'", "'u1'", "'<u1'", "'>u1'")
_SHAPES = ((), (1,), (3,))


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
