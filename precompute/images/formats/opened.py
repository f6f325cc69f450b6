"""An image whose header was read, and what all formats share: Pillow's readers and the orientation."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from lit_precompute.precompute.images.errors import DAMAGE
from lit_precompute.precompute.images.formats.rgb import UPRIGHT, to_rgb, upright
from lit_precompute.precompute.images.libraries import freeing
from lit_precompute.towers.preprocessing import JpegDecoding

_ORIENTATION_TAG = 0x0112


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenedImage:
    """An image whose header was read and whose pixels were not.

    Attributes:
      width: as stored, before the orientation is applied.
      height: likewise.
      decode: returns the upright RGB; may be called once.
      unit_pixels: pixels of the parts that the file is decoded in, if these are larger than the image.
    """

    width: int
    height: int
    decode: Callable[[JpegDecoding], UInt8[np.ndarray, "height width 3"]]
    unit_pixels: int = 0


def open_with_pillow(reader: Any, data: bytes) -> OpenedImage:
    """Returns an image that one of Pillow's readers opens and decodes."""
    image = reader(io.BytesIO(data))
    width, height = image.size
    return OpenedImage(width=width, height=height, decode=lambda jpeg: decode_with_pillow(image))


def decode_with_pillow(image: Any) -> UInt8[np.ndarray, "height width 3"]:
    """Returns an image that Pillow opened as upright RGB, and frees it."""
    with freeing(image):
        orientation = orientation_of(image)
        image.load()
        rgb = to_rgb(image)
    return upright(rgb, orientation)


def orientation_of(image: Any) -> int:
    """Returns the EXIF (else XMP) orientation of Pillow's image, 1 if there is none or it cannot be read."""
    try:
        return image.getexif().get(_ORIENTATION_TAG, UPRIGHT)
    except DAMAGE:
        return UPRIGHT  # the pixels are intact; damaged metadata does not cost the image
