"""TIFF, decoded by Pillow and libtiff; deflated pixels carry a checksum, which is verified first.

libtiff stops at the last pixel that it needs, and by that misses about every tenth damaged byte.

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

from lit_precompute.precompute.images.formats.opened import OpenedImage
from lit_precompute.precompute.images.formats.rgb import to_rgb
from lit_precompute.towers.preprocessing import JpegDecoding

_COMPRESSION, _TILE_SIDES = 259, (322, 323)
_DEFLATE = (8, 32946)
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
    if image.tag_v2.get(_COMPRESSION) in _DEFLATE:
        max_bytes = _MAX_PIXEL_BYTES * image.width * image.height
        for start, size in _strips(image):
            _verify(memoryview(data)[start : start + size], max_bytes)
    image.load()  # applies the orientation
    return to_rgb(image)


def _strips(image: Any) -> Iterator[tuple[int, int]]:
    for places, sizes in _PLACES:
        yield from zip(image.tag_v2.get(places, ()), image.tag_v2.get(sizes, ()), strict=False)


def _verify(strip: memoryview, max_bytes: int) -> None:
    """Raises zlib.error if a deflated strip is damaged; one that is cut off or far too long is left to libtiff."""
    inflater, num_bytes = zlib.decompressobj(), 0
    while len(strip) and not inflater.eof and num_bytes <= max_bytes:
        num_bytes += len(inflater.decompress(strip, _STEP_BYTES))
        strip = memoryview(inflater.unconsumed_tail)
