"""What a generator of hostile files returns, and the images it begins with."""

import io
from typing import NamedTuple

from PIL import Image


class Content(NamedTuple):
    """A file's suffix and bytes, and its rows if that has one answer."""

    suffix: str
    data: bytes
    num_rows: int | None = None


def noise(draw, mode="RGB", size=None):
    """Returns an image of noise."""
    size = size or (draw.randint(8, 40), draw.randint(8, 40))
    bands = len(Image.new(mode, (1, 1)).getbands())
    if mode in ("I", "F", "1", "I;16"):
        gray = Image.frombytes("L", size, draw.randbytes(size[0] * size[1]))
        return gray.convert(mode) if mode != "I;16" else gray.convert("I").convert("I;16")
    return Image.frombytes(mode, size, draw.randbytes(size[0] * size[1] * bands))


def encode(image, format, **options):
    """Returns an image as a file."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def flip(draw, data, count=1, start=0):
    """Returns bytes of which some, from a position on, are others."""
    changed = bytearray(data)
    for _ in range(count):
        place = draw.randrange(start, len(changed))
        changed[place] ^= draw.randrange(1, 256)
    return bytes(changed)
