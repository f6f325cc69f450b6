"""PNG: which chunks decide, and which are ignored whatever they hold."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
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


def _from_rows(rows: bytes, width: int, height: int, colour: int, depth: int, interlaced: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    pixels = chunk(b"IDAT", zlib.compress(rows)[:20]) + chunk(b"IDAT", zlib.compress(rows)[20:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_pixels_that_end_early_are_refused():
    """Pillow leaves the missing rows black; libpng, and with it TensorFlow, refuses them."""
    rows = [b"\0" + row.tobytes() for row in np.random.default_rng(0).integers(1, 256, (9, 12), np.uint8)]
    for colour, width, depth in ((0, 12, 8), (2, 4, 8), (6, 3, 8), (2, 2, 16), (0, 96, 1)):
        whole = _from_rows(b"".join(rows), width, 9, colour, depth, 0)
        np.testing.assert_array_equal(decode(whole).shape, (9, width, 3))
        for kept in (0, 1, 8):
            short = _from_rows(b"".join(rows[:kept]), width, 9, colour, depth, 0)
            error = fault(short)
            assert error.reason == "truncated"
            with pytest.raises(tf.errors.InvalidArgumentError):
                tf.io.decode_png(short)
        assert f"{13 * 9 - 13 * 8} bytes of the pixels are missing" in str(error)


def test_rows_that_are_black_or_transparent_are_not_missing():
    for colour, samples in ((0, 1), (2, 3), (4, 2), (6, 4)):
        data = _from_rows(bytes((1 + 7 * samples) * 5), 7, 5, colour, 8, 0)
        assert np.unique(decode(data)).tolist() == [255 if colour >= 4 else 0]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 1), (1, 5), (8, 8), (5, 13), (33, 17)])
def test_interlaced_pixels_are_counted_pass_by_pass(width, height):
    """The passes of a grey image, by their definition: the table of the specification, section 8.2."""
    pattern = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
    numbers = np.array([[int(pattern[row % 8][column % 8]) for column in range(width)] for row in range(height)])
    values = np.random.default_rng(1).integers(1, 256, (height, width), np.uint8)
    rows: list[bytes] = []
    for number in range(1, 8):
        in_pass = numbers == number
        columns = in_pass.any(axis=0)
        rows += [b"\0" + values[row, columns].tobytes() for row in np.flatnonzero(in_pass.any(axis=1))]
    data = _from_rows(b"".join(rows), width, height, 0, 8, 1)
    np.testing.assert_array_equal(decode(data)[..., 0], values)
    np.testing.assert_array_equal(tf.io.decode_png(data, channels=3), decode(data))
    short = _from_rows(b"".join(rows[:-1]), width, height, 0, 8, 1)
    assert fault(short).reason == "truncated"
