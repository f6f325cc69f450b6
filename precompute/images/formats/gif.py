"""GIF: its size from the header, because Pillow's reader may allocate the first frame before it reports one."""

from __future__ import annotations

import functools
import io
import struct

import numpy as np
from PIL import GifImagePlugin

from lit_precompute.precompute.images.formats.opened import OpenedImage, decode_with_pillow
from lit_precompute.towers.preprocessing import JpegDecoding

_EXTENSION, _FRAME, _END = b"!,;"


def open_gif(data: bytes) -> OpenedImage:
    """Returns a GIF; of an animation the first frame."""
    size = _canvas(data)
    return OpenedImage(width=size[0], height=size[1], decode=functools.partial(_decode, data, size))


def _canvas(data: bytes) -> tuple[int, int]:
    """Returns (width, height) of the screen, enlarged by a first frame that exceeds it, as Pillow's reader does."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while place < len(data) and data[place] != _END:
        if data[place] == _FRAME:
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, place + 1)
            return max(width, left + frame_width), max(height, top + frame_height)
        if data[place] == _EXTENSION:
            place += 2
            while place < len(data) and data[place]:
                place += 1 + data[place]
        place += 1
    return width, height


def _decode(data: bytes, size: tuple[int, int], jpeg: JpegDecoding) -> np.ndarray:
    image = GifImagePlugin.GifImageFile(io.BytesIO(data))
    if image.size != size:
        raise ValueError(f"the header declares {size}, the first frame needs {image.size}")
    return decode_with_pillow(image)
