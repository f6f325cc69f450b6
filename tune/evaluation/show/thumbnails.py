"""Small copies of images, for pages."""

import io
from collections.abc import Iterable

from PIL import Image

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError

_SIDE = 128


def make_thumbnails(images: Iterable[tuple[str, bytes]], keys: set[str], side: int = _SIDE) -> dict[str, bytes | None]:
    """Returns a PNG of each image by key; None for a key whose image is not among them, or cannot be decoded."""
    thumbnails: dict[str, bytes | None] = dict.fromkeys(sorted(keys))
    for key, data in images:
        try:
            image = Image.fromarray(decode(data))
        except ImageError:
            continue
        image.thumbnail((side, side))
        stream = io.BytesIO()
        image.save(stream, "PNG", optimize=True)
        thumbnails[key] = stream.getvalue()
    return thumbnails
