"""libjpeg-turbo's own decoder against TensorFlow's kernel: the same bytes, or none."""

import base64
import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.formats.frame import find_frame
from lit_precompute.precompute.images.formats.turbojpeg import decode_intact
from tests.precompute.images.formats.test_jpeg import ARITHMETIC

METHODS = {"fast": "", "accurate": "INTEGER_ACCURATE"}


def _pixels(draw: np.random.Generator, height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(rows / draw.uniform(2, 30) + columns / draw.uniform(2, 30)) for _ in range(3)]
    noise = draw.normal(0, draw.uniform(0, 40), (height, width, 3))
    return (np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


@st.composite
def jpegs(draw):
    """JPEGs of all kinds that Pillow writes, but CMYK."""
    pixels = _pixels(
        np.random.default_rng(draw(st.integers(0, 999))), draw(st.integers(1, 80)), draw(st.integers(1, 80))
    )
    options = {
        "quality": draw(st.integers(1, 100)),
        "progressive": draw(st.booleans()),
        "optimize": draw(st.booleans()),
    }
    kind = draw(st.sampled_from(["grey", "RGB as such", "4:4:4", "4:2:2", "4:2:0"]))
    image = Image.fromarray(pixels)
    if kind == "grey":
        image = image.convert("L")
    elif kind == "RGB as such":
        options["keep_rgb"] = True
    else:
        options["subsampling"] = kind
    if restarts := draw(st.integers(0, 8)):
        options["restart_marker_blocks"] = restarts
    return _encoded(image, **options)


def _encoded(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _tensorflow(data: bytes, method: str) -> np.ndarray | None:
    """Returns the kernel's pixels, None where it refuses."""
    try:
        return tf.io.decode_jpeg(data, channels=3, dct_method=METHODS[method]).numpy()
    except tf.errors.InvalidArgumentError:
        return None


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60)
@given(data=jpegs())
def test_intact_jpegs_have_tensorflows_bytes(method, data):
    pixels = decode_intact(data, find_frame(data), method)
    assert pixels is not None
    np.testing.assert_array_equal(pixels, _tensorflow(data, method))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=150)
@given(data=jpegs(), place=st.floats(0, 1), change=st.sampled_from(["cut", "remove", "insert", "bit"]))
def test_damaged_jpegs_fare_as_with_tensorflow_alone(method, data, place, change):
    at = 3 + int(place * (len(data) - 4))
    damaged = {
        "cut": data[:at],
        "remove": data[:at] + data[at + 3 :],
        "insert": data[:at] + b"\xff\x00\x55" + data[at:],
        "bit": data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :],
    }[change]
    pixels = decode_intact(damaged, find_frame(damaged), method)
    if pixels is not None:
        np.testing.assert_array_equal(pixels, _tensorflow(damaged, method))


@pytest.fixture(scope="module")
def progressive() -> bytes:
    return _encoded(Image.fromarray(_pixels(np.random.default_rng(2), 61, 83)), progressive=True, quality=60)


def _scans(data: bytes) -> list[int]:
    """Returns where each scan begins, with the tables that come before it, and where the last ends."""
    starts, at = [], data.index(b"\xff\xc4")
    while at != -1:
        starts.append(at)
        scan = data.index(b"\xff\xda", at)
        at = data.find(b"\xff\xc4", scan)
        ends = data.find(b"\xff\xda", scan + 2)
        at = min((each for each in (at, ends) if each != -1), default=-1)
    return [*starts, len(data) - 2]


def test_a_progressive_jpeg_that_lacks_a_scan_is_left_to_tensorflow(progressive):
    places = _scans(progressive)
    assert len(places) > 6
    for start, end in itertools.pairwise(places[1:]):
        partial = progressive[:start] + progressive[end:]
        assert decode_intact(partial, find_frame(partial), "fast") is None
        expected = _tensorflow(partial, "fast")
        if expected is not None:
            np.testing.assert_array_equal(decode(partial), expected)


def test_what_may_differ_is_left_to_tensorflow(progressive):
    image = Image.fromarray(_pixels(np.random.default_rng(3), 20, 30))
    for data in (
        _encoded(image.convert("CMYK")),
        base64.b64decode(ARITHMETIC),
        _encoded(image)[:-1],
        _encoded(image)[:200],
        progressive[:-40],
    ):
        assert decode_intact(data, find_frame(data), "fast") is None


@pytest.mark.parametrize("method", METHODS)
def test_a_jpeg_cut_anywhere_fares_as_before(method):
    data = _encoded(Image.fromarray(_pixels(np.random.default_rng(4), 16, 24)), quality=30)
    for end in range(4, len(data), 7):
        if _tensorflow(data[:end], method) is None:
            with pytest.raises(ImageError) as caught:
                decode(data[:end], jpeg=method)
            assert caught.value.reason == "truncated"
