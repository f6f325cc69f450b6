"""PNG, decoded by Pillow from the chunks that determine the pixels, whose checksums are verified first.

Promises: damage to the header, the palette, the transparency or the pixels is an error. Every other chunk is ignored,
whatever it holds and however much it unpacks to, but for the orientation, which is read where it is intact.

Not here: the checksum inside the compressed pixels. It covers the same bytes again, and verifying it means to
decompress them twice.

Source: W3C, Portable Network Graphics (PNG) Specification (Third Edition).
"""

from __future__ import annotations

import contextlib
import functools
import io
import operator
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin

from lit_precompute.precompute.images.errors import DAMAGE
from lit_precompute.precompute.images.formats.opened import OpenedImage, orientation_of
from lit_precompute.precompute.images.formats.rgb import to_rgb, upright
from lit_precompute.precompute.images.libraries import freeing
from lit_precompute.towers.preprocessing import JpegDecoding

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
# tRNS is optional, but without it transparent pixels show whatever colour was left there.
_DECISIVE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# What Pillow finds an orientation in, by keyword.
_ORIENTED_TEXTS = (b"exif", b"Raw profile type exif", b"XML:com.adobe.xmp")
_MAX_KEYWORD_BYTES = 80
_MAX_TEXT_BYTES = 1 << 20
_STEP_BYTES = 1 << 20
_PALETTE = 3
_CHANNELS = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
# The first column and row of each pass, and the steps.
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int
    is_interlaced: bool

    def num_bytes(self) -> int:
        """Returns the length of the pixels once they are decompressed."""
        bits = self.depth * _CHANNELS[self.colour]
        passes = _ADAM7 if self.is_interlaced else [(0, 0, 1, 1)]
        sides = [(-((x - self.width) // dx), -((y - self.height) // dy)) for x, y, dx, dy in passes]
        return sum(height * (1 + -(-width * bits // 8)) for width, height in sides if width > 0)


class _Chunk(NamedTuple):
    """A chunk of the file: its kind, where its length field begins, and where its checksum ends."""

    kind: bytes
    start: int
    stop: int

    def body(self, data: bytes) -> memoryview:
        return memoryview(data)[self.start + 8 : self.stop - 4]

    def is_intact(self, data: bytes) -> bool:
        """Returns whether the chunk is complete and its checksum right."""
        checksum = zlib.crc32(memoryview(data)[self.start + 4 : self.stop - 4])
        return self.stop <= len(data) and data[self.stop - 4 : self.stop] == checksum.to_bytes(4, "big")


def open_png(data: bytes) -> OpenedImage:
    """Returns a PNG; of an animation the image that plain readers show.

    Raises:
      ValueError: the header is damaged.
    """
    header = next((chunk for chunk in _chunks(data) if chunk.kind in _DECISIVE), None)
    if header is None or header.kind != b"IHDR":
        raise ValueError("it does not begin with a header")
    _check(header, data)
    body = header.body(data)
    if len(body) < 13:
        raise ValueError(f"a header has 13 bytes, this one {len(body)}")
    width, height, depth, colour, _, _, interlacing = struct.unpack_from(">IIBBBBB", body)
    header = _Header(width, height, depth, colour, bool(interlacing))
    return OpenedImage(width=width, height=height, decode=functools.partial(_decode, data, header))


def _decode(data: bytes, header: _Header, jpeg: JpegDecoding) -> np.ndarray:
    chunks = list(_chunks(data))
    decisive = _decisive_part(data, chunks, has_palette=header.colour == _PALETTE)
    image: Any = PngImagePlugin.PngImageFile(io.BytesIO(decisive))
    with freeing(image):
        image.load()
        # Pillow leaves rows zero where the pixels end early.
        last_row = image.crop((0, header.height - 1, header.width, header.height)).tobytes()
        if header.is_interlaced or not last_row.strip(b"\0"):
            _check_length(data, chunks, header)
        if header.depth == 16 and image.mode == "RGB":
            # A transparent colour of 16 bits cannot be found in pixels that Pillow has reduced to 8.
            image.info.pop("transparency", None)
        rgb = to_rgb(image)
    return upright(rgb, _orientation(data, chunks))


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yields the chunks up to the end; the last may be cut off."""
    start = len(_SIGNATURE)
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if kind == b"IEND":
            return
        chunk = _Chunk(kind, start, start + 12 + length)
        yield chunk
        start = chunk.stop


def _check(chunk: _Chunk, data: bytes) -> None:
    if not chunk.is_intact(data):
        kind = "".join(chr(byte) if chr(byte).isalnum() else "?" for byte in chunk.kind)
        fault = "is cut off" if chunk.stop > len(data) else "does not have its checksum"
        raise ValueError(f"the chunk {kind} at byte {chunk.start} {fault}")


def _decisive_part(data: bytes, chunks: list[_Chunk], *, has_palette: bool) -> bytes:
    """Returns the file without the chunks that do not determine its pixels.

    Raises:
      ValueError: a chunk that determines them is damaged, missing or repeated.
    """
    spans: list[tuple[int, int]] = []
    kinds: list[bytes] = []
    previous = b""
    for chunk in chunks:
        is_behind_the_pixels = chunk.kind == b"IDAT" != previous and b"IDAT" in kinds  # readers ignore these
        previous = chunk.kind
        if not _may_be_decisive(chunk.kind):
            continue
        _check(chunk, data)
        if chunk.kind not in _DECISIVE or is_behind_the_pixels:
            continue
        if chunk.kind == b"IDAT" and has_palette and b"PLTE" not in kinds:
            raise ValueError("the palette is missing")
        kinds.append(chunk.kind)
        start = spans.pop()[0] if spans and spans[-1][1] == chunk.start else chunk.start
        spans.append((start, chunk.stop))
    if kinds.count(b"IHDR") != 1 or b"IDAT" not in kinds:
        raise ValueError("the header is repeated" if b"IDAT" in kinds else "the pixels are missing")
    if len(spans) == 1 and data[spans[0][1] :].startswith(_END):
        return data
    return b"".join([_SIGNATURE, *(memoryview(data)[start:stop] for start, stop in spans), _END])


def _check_length(data: bytes, chunks: list[_Chunk], header: _Header) -> None:
    """Raises ValueError if there are fewer pixels than the header declares."""
    inflater, missing = zlib.decompressobj(), header.num_bytes()
    for chunk in chunks:
        packed = chunk.body(data) if chunk.kind == b"IDAT" else b""
        while missing > 0 and len(packed) and not inflater.eof:
            missing -= len(inflater.decompress(packed, min(missing, _STEP_BYTES)))
            packed = inflater.unconsumed_tail
    if missing > 0:
        raise ValueError(f"{missing} bytes of the pixels are missing")


@functools.lru_cache(256)
def _may_be_decisive(kind: bytes) -> bool:
    """Returns whether a chunk's kind is one that determines the pixels, perhaps with one byte damaged."""
    return any(sum(map(operator.ne, kind, decisive)) <= 1 for decisive in _DECISIVE)


def _orientation(data: bytes, chunks: list[_Chunk]) -> int:
    """Returns the orientation, 1 if there is none or it cannot be read; what Pillow's reader would find."""
    found: dict[str, _Chunk] = {}
    for chunk in chunks:
        keyword = _keyword(data, chunk)
        if keyword and chunk.is_intact(data):
            found[keyword] = chunk
    if not found:
        return 1
    image = Image.new("1", (1, 1))
    for keyword, chunk in found.items():
        body = bytes(chunk.body(data))
        with contextlib.suppress(*DAMAGE):
            value = b"Exif\0\0" + body if chunk.kind == b"eXIf" else _text(chunk.kind, body)
            image.info[keyword] = value if keyword == "exif" else value.decode("latin-1")  # ASCII is looked for
    return orientation_of(image)


def _keyword(data: bytes, chunk: _Chunk) -> str:
    """Returns under which name Pillow looks for an orientation in a chunk; "" if it does not."""
    if chunk.kind == b"eXIf":
        return "exif"
    if chunk.kind in _TEXTS:
        keyword = data[chunk.start + 8 : chunk.start + 8 + _MAX_KEYWORD_BYTES].partition(b"\0")[0]
        if keyword in _ORIENTED_TEXTS:
            return keyword.decode()
    return ""


def _text(kind: bytes, body: bytes) -> bytes:
    """Returns the value of a text chunk."""
    value = body.partition(b"\0")[2]
    if kind == b"zTXt":
        value = _inflated(value[1:])
    elif kind == b"iTXt":
        is_compressed = value[0]
        _, _, value = value[2:].split(b"\0", 2)
        value = _inflated(value) if is_compressed else value
    return value


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    value = inflater.decompress(body, _MAX_TEXT_BYTES)
    if inflater.unconsumed_tail:
        raise ValueError(f"a text unpacks to more than {_MAX_TEXT_BYTES:,} bytes")
    return value
