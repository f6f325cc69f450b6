"""Decoding: encoded bytes to uint8 RGB, with one defined treatment for each kind of image.

Promises: `decode` returns uint8 [height, width, 3] or raises `ImageError` with a reason from a closed set, whatever
the bytes are. Upright JPEGs, and PNGs without transparency, give the bytes of tf.io.decode_image, which big_vision
uses. Safe to call from several threads. docs/images.md lists the treatments.

Not here: resizing (`preprocessing`) and the origin of the bytes (`sources`). Pillow's process-wide settings are not
changed, and colour profiles are not applied (nor does big_vision apply them).
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from lit_precompute.precompute.images.libraries import PILLOW_WARNINGS_IGNORED, host_tensorflow
from lit_precompute.towers.preprocessing import JpegDecoding

Reason = Literal["empty", "not-a-picture", "truncated", "too-large", "unsupported", "missing", "unreadable"]

# Pillow's own limit: half a gigabyte as RGB, about ten times the largest image of ImageNet.
MAX_PIXELS = 178_956_970

# How a file begins -> its reader. Readers are named, so that no other of Pillow's parsers gets the bytes.
_READERS: tuple[tuple[bytes, Any], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"GIF87a", GifImagePlugin.GifImageFile),
    (b"GIF89a", GifImagePlugin.GifImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II*\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", TiffImagePlugin.TiffImageFile),
    (b"II+\0", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", TiffImagePlugin.TiffImageFile),
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
)
# What Pillow's parsers raise on damaged bytes; the fuzz test searches for others.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)

_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112


class ImageError(ValueError):
    """An image that cannot be used: `reason` is one of `Reason`, `str()` describes the fault."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(reason, message)
        self.reason: Reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


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
    if not data:
        raise ImageError("empty", "the file has no bytes")
    reader = _reader(data)
    with PILLOW_WARNINGS_IGNORED:
        try:
            if reader is WebPImagePlugin.WebPImageFile:
                # Pillow's WebP reader allocates the canvas before it reports the size.
                _check_size(*_webp_size(data), max_pixels)
            image: Any = reader(io.BytesIO(data))
            width, height = image.size
            _check_size(width, height, max_pixels)
            orientation = _orientation(image)
            if reader is JpegImagePlugin.JpegImageFile:
                upright = _turned(_decode_jpeg(data, jpeg), orientation)
            else:
                upright = _turned(_decode_others(image, data), orientation)
        except Image.DecompressionBombError as error:
            raise ImageError("too-large", str(error)) from error
        except ImageError:
            raise
        except _DAMAGE as error:
            raise ImageError("truncated", f"{reader.format} is cut off or damaged: {error}") from error
    return np.ascontiguousarray(upright)


def _reader(data: bytes) -> Any:
    """Returns Pillow's reader for the format that the bytes begin like."""
    for start, reader in _READERS:
        if data.startswith(start) and (start != b"RIFF" or data[8:12] in (b"WEBP", b"")):
            return reader
    for offset, mark, name in _OTHER_FORMATS:
        if data[offset:].startswith(mark):
            raise ImageError("unsupported", f"{name} is not read; convert to JPEG, PNG, WebP, GIF, BMP or TIFF")
    raise ImageError("not-a-picture", f"no known image format begins with {data[:16]!r} ({len(data)} bytes)")


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError("too-large", f"declares {width} x {height} pixels; at most {max_pixels:,} are decoded")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Returns (width, height) of the canvas. Source: RFC 9649, sections 2.5 to 2.7."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _orientation(image: Any) -> int:
    """Returns the EXIF (else XMP) orientation, 1 if there is none or it cannot be read."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1  # Pillow applies a TIFF's orientation while it loads it
    try:
        return image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        return 1  # the pixels are intact; damaged metadata does not cost the image


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation not in _TRANSPOSITIONS:
        return image
    return np.asarray(Image.fromarray(image).transpose(_TRANSPOSITIONS[orientation]))


def _decode_jpeg(data: bytes, jpeg: JpegDecoding) -> np.ndarray:
    """Returns a JPEG's pixels as TensorFlow decodes them: grey repeated, CMYK converted, Adobe's inversion applied."""
    tf = host_tensorflow()
    method = {"fast": "", "accurate": "INTEGER_ACCURATE"}[jpeg]
    try:
        return tf.raw_ops.DecodeJpeg(contents=data, channels=3, dct_method=method).numpy()
    except tf.errors.InvalidArgumentError as error:
        # TensorFlow's message names its devices, not the fault of the image.
        raise ImageError("truncated", "JPEG is cut off or damaged") from error


def _decode_others(image: Any, data: bytes) -> np.ndarray:
    """Returns the pixels of the first frame of an image that Pillow opened, as uint8 RGB."""
    image.load()
    transparent = image.info.get("transparency")
    if image.mode in _DEEP_MODES:
        return _from_deep_grey(image, transparent)
    # A transparent colour of 16 bits cannot be found in pixels that Pillow has reduced to 8.
    deep_png = image.format == "PNG" and data[24] == 16
    if image.mode in _ALPHA_MODES or (transparent is not None and not deep_png and image.mode in _PLAIN_MODES):
        with_alpha = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        # Rounds c * a + 255 * (1 - a) to the nearest integer.
        white.paste(with_alpha.convert("RGB"), mask=with_alpha.getchannel("A"))
        return np.asarray(white)
    if image.mode in _PLAIN_MODES:
        return np.asarray(image.convert("RGB"))
    raise ImageError("unsupported", f"{image.format} with pixels of kind {image.mode!r}; convert to 8 or 16 bits")


def _from_deep_grey(image: Any, transparent: Any) -> np.ndarray:
    """Returns 16-bit grey as RGB: the high byte, as tf.io.decode_image gives it; the transparent value is white."""
    values = np.asarray(image)
    grey = (values >> 8).astype(np.uint8)
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)
