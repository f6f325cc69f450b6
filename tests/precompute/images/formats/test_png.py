"""PNG: which chunks decide, and which are ignored whatever they hold."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError

EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # turned by a quarter
XMP = b'<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>'
RAW_PROFILE = b"\nexif\n      32\n" + (b"Exif\0\0" + EXIF).hex().encode()
COLOURS = np.array([[200, 30, 40], [10, 220, 90], [0, 0, 0], [7, 8, 9]], np.uint8)
INDICES = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)
BOMB = zlib.compress(bytes(2_000_000))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def damaged(whole: bytes) -> bytes:
    return whole[:-1] + bytes([whole[-1] ^ 1])


def png(*, before: bytes = b"", after: bytes = b"", between: bytes = b"") -> bytes:
    """A palette of four colours, the third transparent, pixels in two chunks; other chunks can be put anywhere.

    The pixels are stored, not compressed: only a checksum notices that one has changed.
    """
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in INDICES), 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", COLOURS.tobytes()) + chunk(b"tRNS", b"\xff\xff\0") + before,
            chunk(b"IDAT", rows[:9]) + between + chunk(b"IDAT", rows[9:]),
            after + chunk(b"IEND", b""),
        ]
    )


PIXELS = np.array([*COLOURS[:2], [255, 255, 255], COLOURS[3]], np.uint8)[INDICES]
TURNED = np.rot90(PIXELS, -1)


def fault(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value


def test_no_damaged_byte_changes_the_pixels():
    """Header, palette, transparency, pixels, their kinds, lengths and checksums: every bit of them."""
    data = png()
    for place in range(8, len(data)):
        for bit in range(8):
            changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            try:
                np.testing.assert_array_equal(decode(changed), PIXELS, f"byte {place}, bit {bit}")
            except ImageError as error:
                assert error.reason in ("truncated", "too-large")
                assert place < len(data) - 12, "the end of the file decides nothing"


@pytest.mark.parametrize("kind", ["IHDR", "PLTE", "tRNS", "IDAT"])
def test_the_damaged_chunk_is_named(kind):
    data = png()
    start = data.index(kind.encode()) - 4
    changed = data[: start + 9] + bytes([data[start + 9] ^ 1]) + data[start + 10 :]
    error = fault(changed)
    assert error.reason == "truncated"
    assert str(error) == f"PNG is cut off or damaged: the chunk {kind} at byte {start} does not have its checksum"


def test_pixels_without_their_last_checksum_are_cut_off_and_a_missing_end_is_not():
    whole = png()
    np.testing.assert_array_equal(decode(whole[:-12]), PIXELS)
    assert str(fault(whole[:-13])).endswith("is cut off")


ANCILLARY = [
    chunk(b"iCCP", b"profile\0\0" + BOMB),
    chunk(b"zTXt", b"Comment\0\0" + BOMB),
    chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
    chunk(b"tEXt", b"Comment\0" + bytes(3_000_000)),
    chunk(b"iCCP", b"profile\0\7" + BOMB),
    chunk(b"iCCP", b""),
    chunk(b"sRGB", b""),
    chunk(b"gAMA", b"\1"),
    chunk(b"pHYs", b"\1"),
    chunk(b"acTL", b"\1"),
    chunk(b"fcTL", struct.pack(">IIIIIHHBB", 7, 9, 9, 9, 9, 1, 1, 0, 0)),
    chunk(b"eXIf", b"no such thing"),
    chunk(b"prVt", b"private"),
    *map(damaged, [chunk(b"tIME", b"1234567"), chunk(b"prVt", b"private"), chunk(b"eXIf", EXIF)]),
    chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB),
    chunk(b"zTXt", b"Raw profile type exif\0\0no deflate"),
    chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
    chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
    chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 3\nxyz"),
]


@pytest.mark.parametrize("ancillary", ANCILLARY, ids=range(len(ANCILLARY)))
def test_other_chunks_are_ignored_whatever_they_hold(ancillary):
    np.testing.assert_array_equal(decode(png(before=ancillary)), PIXELS)
    np.testing.assert_array_equal(decode(png(after=ancillary)), PIXELS)


ORIENTED = [
    chunk(b"eXIf", EXIF),
    chunk(b"tEXt", b"Raw profile type exif\0" + RAW_PROFILE),
    chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(RAW_PROFILE)),
    chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + zlib.compress(XMP)),
    chunk(b"tEXt", b"XML:com.adobe.xmp\0" + XMP),
    chunk(b"tEXt", b"exif\0" + EXIF),
]


@pytest.mark.parametrize("oriented", ORIENTED, ids=range(len(ORIENTED)))
def test_the_orientation_is_found_where_pillow_finds_it(oriented):
    for data in (png(before=oriented), png(after=oriented), png(before=ANCILLARY[0] + ANCILLARY[1] + oriented)):
        np.testing.assert_array_equal(decode(data), TURNED)
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(png(before=oriented)))).size == (2, 3)


def test_a_damaged_orientation_does_not_hide_an_intact_one():
    data = png(before=chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB) + chunk(b"eXIf", EXIF))
    np.testing.assert_array_equal(decode(data), TURNED)


def test_pixels_after_an_interruption_are_ignored_as_other_readers_do():
    assert fault(png(between=chunk(b"tEXt", b"a\0b"))).reason == "truncated"
    stray = chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", b"stray")
    np.testing.assert_array_equal(decode(png(after=stray)), PIXELS)


def test_chunks_that_decide_are_there_and_the_header_once():
    data = png()
    header = data[8:33]
    assert "the palette is missing" in str(fault(data[:33] + data[33 + 24 :]))
    assert "the pixels are missing" in str(fault(data[: data.index(b"IDAT") - 4] + data[-12:]))
    assert "the header is repeated" in str(fault(data[:33] + header + data[33:]))
    assert "does not begin with a header" in str(fault(data[:8] + data[33:]))
    assert "a header has 13 bytes, this one 5" in str(fault(data[:8] + chunk(b"IHDR", header[8:13]) + data[33:]))


def test_apples_variant_is_unsupported():
    data = png()
    error = fault(data[:8] + chunk(b"CgBI", b"\x50\0\x20\x02") + data[8:])
    assert error.reason == "unsupported" and "Apple's variant of PNG" in str(error)
