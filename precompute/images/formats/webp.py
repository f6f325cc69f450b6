"""WebP: its size from the header, because Pillow's reader allocates the canvas before it reports one."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, WebPImagePlugin

from lit_precompute.precompute.images.formats.opened import OpenedImage, orientation_of
from lit_precompute.precompute.images.formats.rgb import to_rgb, upright
from lit_precompute.towers.preprocessing import JpegDecoding


def open_webp(data: bytes) -> OpenedImage:
    """Returns a WebP; of an animation the first frame."""
    width, height = _size(data)
    return OpenedImage(width=width, height=height, decode=functools.partial(_decode, data, (width, height)))


def _size(data: bytes) -> tuple[int, int]:
    """Returns (width, height) of the canvas. Source: RFC 9649, sections 2.5 to 2.7."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _decode(data: bytes, size: tuple[int, int], jpeg: JpegDecoding) -> np.ndarray:
    image: Any = WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    if image.size != size:
        raise ValueError(f"the header declares {size}, the canvas has {image.size}")
    orientation = orientation_of(image)
    return upright(_first_frame(image), orientation)


def _first_frame(image: Any) -> np.ndarray:
    """Returns the first frame as RGB. Pillow's `load` would copy it while the decoder holds the canvas twice."""
    frame = image._decoder.get_next()
    if frame is None:
        raise ValueError("the first frame cannot be decoded")
    del image._decoder
    return to_rgb(Image.frombuffer(image.rawmode, image.size, frame[0], "raw", image.rawmode, 0, 1))
