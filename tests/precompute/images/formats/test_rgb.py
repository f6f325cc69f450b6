"""Images of several strips have the pixels of an image converted whole."""

import io

import numpy as np
from PIL import Image

from lit_precompute.precompute.images.decoding import decode

HEIGHT, WIDTH = 1301, 1703  # two strips and a part


def _noise(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)


def _png(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=0, **options)
    return stream.getvalue()


def _over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha.astype(np.float64)[..., None] / 255
    return np.rint(colour * opacity + 255 * (1 - opacity)).astype(np.uint8)


def test_colours_with_and_without_alpha():
    pixels = _noise(4)
    np.testing.assert_array_equal(decode(_png(Image.fromarray(pixels[..., :3]))), pixels[..., :3])
    np.testing.assert_array_equal(decode(_png(Image.fromarray(pixels))), _over_white(pixels[..., :3], pixels[..., 3]))


def test_a_palette_with_transparency():
    pixels, palette = _noise(1)[..., 0], _noise(3)[0, :256]
    image = Image.fromarray(pixels, "P")
    image.putpalette(palette.tobytes())
    alphas = np.arange(256, dtype=np.uint8)
    for transparency, alpha in ((bytes(alphas), alphas), (9, np.where(alphas == 9, 0, 255))):
        expected = _over_white(palette[pixels], alpha[pixels])
        np.testing.assert_array_equal(decode(_png(image, transparency=transparency)), expected)


def test_grey_and_bits():
    pixels = _noise(1)[..., 0]
    grey = Image.fromarray(pixels)
    np.testing.assert_array_equal(decode(_png(grey)), np.repeat(pixels[..., None], 3, axis=2))
    bits = np.where(pixels > 127, 255, 0)
    found = decode(_png(grey.point(lambda value: 255 * (value > 127)).convert("1")))
    np.testing.assert_array_equal(found, np.repeat(bits[..., None], 3, axis=2))
    expected = np.where(pixels == 9, 255, pixels)
    np.testing.assert_array_equal(decode(_png(grey, transparency=9)), np.repeat(expected[..., None], 3, axis=2))


def test_deep_grey():
    deep = np.random.default_rng(0).integers(0, 1 << 16, (HEIGHT, WIDTH), np.uint16)
    deep[-1, -1] = deep[0, 0]
    expected = (deep >> 8).astype(np.uint8)
    expected[deep == deep[0, 0]] = 255
    found = decode(_png(Image.fromarray(deep), transparency=int(deep[0, 0])))
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=2))


def test_ink_is_converted_as_pillow_does():
    image, stream = Image.fromarray(_noise(4), "CMYK"), io.BytesIO()
    image.save(stream, "TIFF")
    np.testing.assert_array_equal(decode(stream.getvalue()), np.asarray(image.convert("RGB")))
