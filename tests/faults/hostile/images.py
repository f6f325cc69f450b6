"""Files that are no sound images, or odd ones; each is one row."""

import struct
import zlib

from PIL import Image

from tests.faults.hostile.contents import Content, encode, flip, noise

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
_HUGE = 100_000


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(header, *chunks):
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + b"".join(chunks)


def _jpeg(draw):
    options = {"progressive": draw.random() < 0.5, "quality": draw.randint(5, 95), "exif": _exif(draw)}
    return encode(noise(draw, size=(draw.randint(16, 80), draw.randint(16, 80))), "JPEG", **options)


def _exif(draw):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = draw.randint(0, 9), "a description" * draw.randint(1, 20)
    return exif.tobytes()


def cut_at_markers(draw):
    """A JPEG that ends at, or just after, one of its markers."""
    data = _jpeg(draw)
    places = [at for at in range(len(data) - 1) if data[at] == 0xFF and data[at + 1] not in (0, 0xFF)]
    return Content(".jpg", data[: draw.choice(places) + draw.randint(0, 4)], 1)


def wrong_headers(draw):
    """A file that begins like another format, or whose first bytes are noise."""
    data = encode(noise(draw), draw.choice(_FORMATS))
    other = encode(noise(draw), draw.choice(_FORMATS))
    length = draw.choice((2, 4, 8, 16, 30))
    start = draw.choice((other[:length], draw.randbytes(length), bytes(length)))
    return Content(draw.choice((".jpg", ".png", ".webp")), start + data[length:], 1)


def bombs(draw):
    """A few bytes that declare, or decompress to, enormous ones."""
    zeros = zlib.compress(bytes(50 << 20))
    rows = zlib.compress(bytes(64))
    side = draw.choice((_HUGE, 65_535, 30_000, 2**31 - 1))
    gif = bytearray(encode(noise(draw), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    bmp = bytearray(encode(noise(draw), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    header = (side, side, 8, 2, 0, 0, 0)
    made = (
        _png(header, _chunk(b"IDAT", rows), _chunk(b"IEND", b"")),
        _png((64, 64, 8, 2, 0, 0, 0), _chunk(b"IDAT", zeros), _chunk(b"IEND", b"")),
        _png((8, 8, 8, 2, 0, 0, 0), _chunk(b"zTXt", b"a\0\0" + zeros), _chunk(b"IDAT", rows), _chunk(b"IEND", b"")),
        _png((8, 8, 8, 2, 0, 0, 0), _chunk(b"iCCP", b"a\0\0" + zeros), _chunk(b"IDAT", rows), _chunk(b"IEND", b"")),
        bytes(gif),
        bytes(bmp),
    )
    return Content(".png", draw.choice(made), 1)


def odd_sizes(draw):
    """Images of one pixel, and very long ones."""
    size = draw.choice(((1, 1), (65_000, 1), (1, 65_000), (2, 1), (1, 3), (65_500, 2)))
    format = draw.choice(("PNG", "JPEG", "GIF", "BMP", "TIFF"))
    return Content(f".{format.lower()}", encode(noise(draw, "L" if format == "GIF" else "RGB", size), format), 1)


def not_images(draw):
    """What servers send instead of an image, and other files with its name."""
    words = (
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        b'{"error": "rate limited"}',
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"",
        b"\n",
        b"%PDF-1.7\n",
        b"PK\x03\x04" + draw.randbytes(100),
        b"\x1f\x8b\x08" + draw.randbytes(100),
        draw.randbytes(draw.randint(1, 4000)),
        b"\xff\xd8\xff",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        b"P6\n4 4\n255\n" + bytes(48),
    )
    return Content(".jpg", draw.choice(words), 1)


def corrupt_exif(draw):
    """A JPEG, PNG or WebP whose EXIF data are damaged: noise, circles, offsets that lead out."""
    entries = draw.randint(1, 5)
    circle = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries)
    for _ in range(entries):
        tag = draw.choice((0x0112, 0x8769, 0x010E, draw.randrange(65_536)))
        value = draw.choice((8, 0, 2**32 - 1, draw.randrange(2**32)))
        circle += struct.pack("<HHII", tag, draw.randint(0, 13), draw.choice((1, 2**32 - 1)), value)
    circle += struct.pack("<I", 8)
    exif = draw.choice((circle, b"Exif\0\0" + draw.randbytes(60), flip(draw, _exif(draw), 6)))
    format = draw.choice(("JPEG", "PNG", "WEBP"))
    return Content(f".{format.lower()}", encode(noise(draw), format, exif=exif), 1)


def odd_modes(draw):
    """Sound images of rare kinds: palettes, CMYK, 16 bits, transparency, several frames."""
    frames = [noise(draw, size=(20, 20)) for _ in range(draw.randint(2, 5))]
    made = (
        lambda: encode(noise(draw).quantize(draw.randint(2, 256)), "PNG", transparency=0),
        lambda: encode(noise(draw, "CMYK"), draw.choice(("JPEG", "TIFF"))),
        lambda: encode(noise(draw, "I;16"), draw.choice(("PNG", "TIFF"))),
        lambda: encode(noise(draw, draw.choice(("1", "L", "LA", "RGBA"))), "PNG"),
        lambda: encode(noise(draw, "F"), "TIFF"),
        lambda: encode(noise(draw, "LAB"), "TIFF"),
        lambda: encode(frames[0], draw.choice(("GIF", "WEBP", "PNG", "TIFF")), save_all=True, append_images=frames[1:]),
    )
    return Content(draw.choice((".png", ".jpg", ".tif")), draw.choice(made)(), 1)


def flipped_bytes(draw):
    """Any format with some other bytes."""
    format = draw.choice(_FORMATS)
    return Content(f".{format.lower()}", flip(draw, encode(noise(draw), format), draw.randint(1, 8), start=2), 1)
