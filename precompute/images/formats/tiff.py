"""TIFF, decoded by Pillow and libtiff, after checks that libtiff leaves out.

Deflated pixels carry a checksum; libtiff stops at the last pixel that it needs, and misses about every tenth damaged
byte. A JPEG smaller than the part of the image that it stands for gets bytes of uninitialised memory.

Source: Adobe, TIFF Revision 6.0, and TIFF Technical Note 2 for deflate.
"""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

from lit_precompute.precompute.images.formats.frame import find_frame
from lit_precompute.precompute.images.formats.opened import OpenedImage
from lit_precompute.precompute.images.formats.rgb import to_rgb
from lit_precompute.precompute.images.libraries import freeing
from lit_precompute.towers.preprocessing import JpegDecoding

_IMAGE_WIDTH, _IMAGE_LENGTH, _COMPRESSION, _ROWS_PER_STRIP, _PLANES, _TILE_SIDES = 256, 257, 259, 278, 284, (322, 323)
_JPEG, _DEFLATE = 7, (8, 32946)
# Where strips or else tiles begin, and their bytes.
_PLACES = ((273, 279), (324, 325))
_STEP_BYTES = 1 << 20
_MAX_PIXEL_BYTES = 16


def open_tiff(data: bytes) -> OpenedImage:
    """Returns a TIFF; of several pages the first."""
    image: Any = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
    width, height = image.size
    sides = [image.tag_v2.get(tag) for tag in _TILE_SIDES]
    # A tile is decoded whole, however small the image is.
    tile = sides[0] * sides[1] if all(isinstance(side, int) for side in sides) else 0
    return OpenedImage(width=width, height=height, decode=functools.partial(_decode, data, image), unit_pixels=tile)


def _decode(data: bytes, image: Any, jpeg: JpegDecoding) -> np.ndarray:
    compression = image.tag_v2.get(_COMPRESSION)
    for number, (start, size) in enumerate(_places(image)):
        part = memoryview(data)[start : start + size]
        if compression in _DEFLATE:
            _verify(part, _MAX_PIXEL_BYTES * image.width * image.height)
        elif compression == _JPEG:
            _check_frame(part, image.tag_v2, number)
    with freeing(image):
        image.load()  # applies the orientation
        return to_rgb(image)


def _places(image: Any) -> Iterator[tuple[int, int]]:
    """Yields where each strip or tile begins, and its bytes."""
    for places, sizes in _PLACES:
        yield from zip(image.tag_v2.get(places, ()), image.tag_v2.get(sizes, ()), strict=False)


def _verify(part: memoryview, max_bytes: int) -> None:
    """Raises zlib.error if deflated pixels are damaged; leaves those cut off or far too many to libtiff."""
    inflater, num_bytes = zlib.decompressobj(), 0
    while len(part) and not inflater.eof and num_bytes <= max_bytes:
        num_bytes += len(inflater.decompress(part, _STEP_BYTES))
        part = memoryview(inflater.unconsumed_tail)


def _check_frame(part: memoryview, tags: Any, number: int) -> None:
    """Raises ValueError if a JPEG is smaller than its strip or tile; libtiff would leave the rest uninitialised."""
    frame = find_frame(part)
    if frame is None or tags.get(_PLANES, 1) != 1:
        return
    width, height = tags[_IMAGE_WIDTH], tags[_IMAGE_LENGTH]
    if _TILE_SIDES[0] in tags:
        width, num_rows = (tags[side] for side in _TILE_SIDES)
    else:
        whole = min(tags.get(_ROWS_PER_STRIP, height), height)
        num_rows = min(whole, height - number * whole)
    if frame.width < width or frame.height < num_rows:
        raise ValueError(f"part {number} has {frame.width} x {frame.height} pixels instead of {width} x {num_rows}")
