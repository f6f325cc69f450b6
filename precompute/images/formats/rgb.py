"""Pixels as RGB: one treatment for each of Pillow's modes, transparency over white, and the image upright.

Promises: beyond the image and the result, memory is that of a strip.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lit_precompute.precompute.images.errors import ImageError

# Conversions multiply the memory of what they convert: of a strip, about 25 MB.
_STRIP_PIXELS = 1 << 20

UPRIGHT = 1  # EXIF's orientation of an image that is stored as it is seen

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})


def to_rgb(image: Any) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the pixels of Pillow's loaded image, converted in strips.

    Raises:
      ImageError: "unsupported", there is no treatment for pixels of this kind.
    """
    width, height = image.size
    num_rows = max(1, _STRIP_PIXELS // width)
    if num_rows >= height:
        return _strip_to_rgb(image, image.format)
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, num_rows):
        bottom = min(top + num_rows, height)
        rgb[top:bottom] = _strip_to_rgb(image.crop((0, top, width, bottom)), image.format)
    return rgb


def _strip_to_rgb(strip: Any, format: str) -> np.ndarray:
    transparent = strip.info.get("transparency")
    if strip.mode in _DEEP_MODES:
        return _from_deep_grey(strip, transparent)
    if strip.mode in _ALPHA_MODES or (transparent is not None and strip.mode in _PLAIN_MODES):
        with_alpha = strip.convert("RGBA")
        white = Image.new("RGB", strip.size, (255, 255, 255))
        # Rounds c * a + 255 * (1 - a) to the nearest integer.
        white.paste(with_alpha.convert("RGB"), mask=with_alpha.getchannel("A"))
        return np.asarray(white)
    if strip.mode in _PLAIN_MODES:
        return np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    raise ImageError("unsupported", f"{format} with pixels of kind {strip.mode!r}; convert to 8 or 16 bits")


def _from_deep_grey(strip: Any, transparent: Any) -> np.ndarray:
    """Returns 16-bit grey as RGB: the high byte, as tf.io.decode_image gives it; the transparent value is white."""
    values = np.asarray(strip)
    grey = (values >> 8).astype(np.uint8)
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def upright(rgb: UInt8[np.ndarray, "h w 3"], orientation: int) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the image turned as EXIF's orientation says; values other than 2 to 8 leave it as it is."""
    if orientation not in range(2, 9):
        return np.ascontiguousarray(rgb)
    pixels = np.ascontiguousarray(rgb).view("V3")[..., 0]  # whole pixels move several times faster than bytes
    if orientation >= 5:
        pixels = pixels.T
    # Source: CIPA DC-008 (Exif), tag 274: the corner of the image that the first row and column are at.
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)[..., None].view(np.uint8)
