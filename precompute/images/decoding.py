"""Decoding: encoded bytes to uint8 RGB, with one defined treatment for each kind of image.

Promises: `decode` returns uint8 [height, width, 3] or raises `ImageError` with a reason from a closed set, whatever
the bytes are. Upright JPEGs, and PNGs without transparency, give the bytes of tf.io.decode_image, which big_vision
uses. Safe to call from several threads. docs/images.md lists the treatments.

Not here: how each format is read (`formats`), resizing (`preprocessing`), and the origin of the bytes (`sources`).
Pillow's process-wide settings are not changed, and colour profiles are not applied (nor does big_vision apply them).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import BmpImagePlugin, Image

from lit_precompute.precompute.images.errors import DAMAGE, ImageError
from lit_precompute.precompute.images.formats.gif import open_gif
from lit_precompute.precompute.images.formats.jpeg import open_jpeg
from lit_precompute.precompute.images.formats.npy import open_npy
from lit_precompute.precompute.images.formats.npy_header import NPY_MAGIC
from lit_precompute.precompute.images.formats.opened import OpenedImage, open_with_pillow
from lit_precompute.precompute.images.formats.png import open_png
from lit_precompute.precompute.images.formats.tiff import open_tiff
from lit_precompute.precompute.images.formats.webp import open_webp
from lit_precompute.precompute.images.libraries import PILLOW_WARNINGS_IGNORED
from lit_precompute.precompute.images.limits import MAX_PIXELS, MAX_SIDE
from lit_precompute.towers.preprocessing import JpegDecoding

Opener = Callable[[bytes], OpenedImage]


def _quiet(opener: Opener) -> Opener:
    """Returns an opener during which, and during the decoding of what it opened, Pillow does not warn."""

    def open_quietly(data: bytes) -> OpenedImage:
        with PILLOW_WARNINGS_IGNORED:
            opened = opener(data)

        def decode_quietly(jpeg: JpegDecoding) -> np.ndarray:
            with PILLOW_WARNINGS_IGNORED:
                return opened.decode(jpeg)

        return dataclasses.replace(opened, decode=decode_quietly)

    return open_quietly


# How a file begins -> its format. Formats are named, so that no other of Pillow's parsers gets the bytes.
_JPEG: tuple[bytes, str, Opener] = (b"\xff\xd8\xff", "JPEG", open_jpeg)
_FORMATS: tuple[tuple[bytes, str, Opener], ...] = (
    _JPEG,
    (b"\x89PNG\r\n\x1a\n", "PNG", _quiet(open_png)),
    (b"RIFF", "WEBP", _quiet(open_webp)),
    (b"GIF87a", "GIF", _quiet(open_gif)),
    (b"GIF89a", "GIF", _quiet(open_gif)),
    (b"BM", "BMP", _quiet(functools.partial(open_with_pillow, BmpImagePlugin.BmpImageFile))),
    (b"II*\0", "TIFF", _quiet(open_tiff)),
    (b"MM\0*", "TIFF", _quiet(open_tiff)),
    (b"II+\0", "TIFF", _quiet(open_tiff)),
    (b"MM\0+", "TIFF", _quiet(open_tiff)),
    (NPY_MAGIC, "NPY", open_npy),
)
# How images of unsupported formats begin (at the offset), so that errors can name the format.
_OTHER_FORMATS = (
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"\0\0\1\0", "icon"),
    (12, b"CgBI", "Apple's variant of PNG"),
)
_FAULTS = (*DAMAGE, Image.DecompressionBombError)


@dataclasses.dataclass(frozen=True)
class EncodedImage:
    """An image whose size is known and allowed; decoded once.

    Attributes:
      width: as stored, before the orientation is applied.
      height: likewise.
      num_pixels: the pixels that decoding holds in memory.
      format: its name, such as JPEG, whatever the file's name says.
    """

    width: int
    height: int
    num_pixels: int
    format: str
    _decode: Callable[[JpegDecoding], np.ndarray]

    def decode(self, jpeg: JpegDecoding) -> UInt8[np.ndarray, "height width 3"]:
        """Returns the image as `decode` of this module does.

        Raises:
          ImageError: with the reason "unsupported" or "truncated".
        """
        try:
            return self._decode(jpeg)
        except ImageError:
            raise
        except _FAULTS as error:
            raise _named(error, self.format) from error


def decode(
    data: bytes, *, max_pixels: int = MAX_PIXELS, jpeg: JpegDecoding = "fast"
) -> UInt8[np.ndarray, "height width 3"]:
    """Returns the image as RGB: upright, transparency over white, first frame if animated.

    Args:
      data: the whole encoded file: JPEG, PNG, WebP, GIF, BMP or TIFF, whatever its name.
      max_pixels: images that declare more are refused before their pixels are decoded.
      jpeg: "fast" decodes like tf.io.decode_image and big_vision; "accurate" (the accurate integer DCT) gives Pillow's
        and torchvision's pixels.

    Raises:
      ImageError: with the reason "empty", "not-a-picture", "unsupported", "too-large" or "truncated".
    """
    return open_image(data, max_pixels=max_pixels).decode(jpeg)


def open_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> EncodedImage:
    """Returns an image whose header was read, so that its size is known before its pixels take memory.

    Raises:
      ImageError: as `decode` does.
    """
    if not data:
        raise ImageError("empty", "the file has no bytes")
    name, opener = _format(data)
    try:
        opened = opener(data)
    except ImageError:
        raise
    except _FAULTS as error:
        raise _named(error, name) from error
    width, height = opened.width, opened.height
    if width * height > max_pixels:
        raise ImageError("too-large", f"declares {width} x {height} pixels; at most {max_pixels:,} are decoded")
    if max(width, height) > MAX_SIDE:
        raise ImageError("too-large", f"declares {width} x {height} pixels; at most {MAX_SIDE:,} a side are decoded")
    return EncodedImage(width, height, max(width * height, opened.unit_pixels), name, opened.decode)


def _format(data: bytes) -> tuple[str, Opener]:
    """Returns the format that the bytes begin like: its name, and what opens it."""
    if data.startswith(_JPEG[0]):  # most are
        return _JPEG[1:]
    for offset, mark, name in _OTHER_FORMATS:
        if data.startswith(mark, offset):
            raise ImageError("unsupported", f"{name} is not read; convert to JPEG, PNG, WebP, GIF, BMP or TIFF")
    for start, name, opener in _FORMATS:
        if data.startswith(start) and (start != b"RIFF" or data[8:12] in (b"WEBP", b"")):
            return name, opener
    raise ImageError("not-a-picture", f"no known image format begins with {data[:16]!r} ({len(data)} bytes)")


def _named(error: Exception, format: str) -> ImageError:
    """Returns what a reader raised on damaged bytes, with a reason."""
    if isinstance(error, Image.DecompressionBombError):
        return ImageError("too-large", str(error))
    return ImageError("truncated", f"{format} is cut off or damaged: {error}")
