"""GIF: the size that is known before anything is decoded is that of the first frame."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from lit_precompute.precompute.images.decoding import decode, open_image
from lit_precompute.precompute.images.errors import ImageError


def gif(**options) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(3).integers(0, 200, (10, 14), np.uint8))
    image.convert("P").save(stream, "GIF", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "options", [{}, {"comment": b"x" * 700}, {"loop": 3, "duration": 40}, {"disposal": 2, "transparency": 5}]
)
def test_the_size_is_found_behind_palette_and_extensions(options):
    data = gif(**options)
    image = open_image(data)
    assert (image.width, image.height) == (14, 10)
    np.testing.assert_array_equal(decode(data)[..., 0].shape, (10, 14))


def test_a_first_frame_beyond_the_screen_enlarges_it():
    data = gif()
    smaller = data[:6] + struct.pack("<HH", 9, 4) + data[10:]
    image = open_image(smaller)
    assert (image.width, image.height) == (14, 10)
    np.testing.assert_array_equal(decode(smaller), decode(data))


def test_a_frame_that_declares_more_than_the_limit_is_refused_before_it_is_decoded():
    data = bytearray(gif(disposal=2))
    descriptor = data.rindex(b",\0\0\0\0" + struct.pack("<HH", 14, 10))
    data[descriptor + 5 : descriptor + 9] = struct.pack("<HH", 65_000, 65_000)
    with pytest.raises(ImageError, match="declares 65000 x 65000 pixels") as caught:
        decode(bytes(data))
    assert caught.value.reason == "too-large"
