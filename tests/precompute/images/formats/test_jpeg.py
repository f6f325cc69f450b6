"""Kinds of JPEG that are decoded, and those that are refused as such."""

import base64

import numpy as np
import pytest

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError

# Of grey 8 x 8 pixels, value 3 * (8 * row + column). Made with libjpeg-turbo 3.1 (through imagecodecs 2026.3.6, and
# jpegtran -arithmetic) and CharLS.
TABLES = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYF"
    "VlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/"
)
ARITHMETIC = TABLES + "yQALCAAIAAgBAREA/8wABgAQEAX/2gAIAQEAAD8A/bwji+TI/9k="
PROGRESSIVE_ARITHMETIC = TABLES + (
    "ygALCAAIAAgBAREA/8wABAAQ/9oACAEBAAAAAfv/zAAEEAX/2gAIAQEAAQUCm4D/zAAEEAX/2gAIAQEABj8CwP/MAAQQBf/aAAgBAQABPyHppP/a"
    "AAgBAQAAABD/zAAEEAX/2gAIAQEAAT8QpiD/2Q=="
)
TWELVE_BITS = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsK"
    "DAkKCgr/wQALDAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAADP/EABwQAAAGAwAAAAAAAAAAAAAAAAAKDSo2R1Nkcf/aAAgBAQAAPwA8+SUR"
    "KqItI8FJc1x//9k="
)
LOSSLESS = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALCAAIAAgBAREA/8QAFgABAQEAAAAAAAAAAAAAAAAAAgUI/9oACAEBAAEAAM/tttuw2227DbbbsNttuw22"
    "27DbbbsNttuw222//9k="
)
JPEG_LS = (
    "/9j/6AAgU1BJRkYAAgAAAQAAAAgAAAAICggGAQAAASwAAAEs/+gACAAAAAH/2P/3AAsIAAgACAEBEQD/2gAIAQEAAAAAlXr7QAIybSYACVWh7/LP"
    "8q/ij+TfwP/Z"
)
GREY = 3 * np.arange(64).reshape(8, 8, 1)


def _fault(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value


@pytest.mark.parametrize("text", [ARITHMETIC, PROGRESSIVE_ARITHMETIC])
def test_arithmetic_coding_is_decoded(text):
    data = base64.b64decode(text)
    assert np.abs(decode(data).astype(int) - GREY).max() <= 12
    assert _fault(data[:-20]).reason == "truncated"


@pytest.mark.parametrize(("text", "kind"), [(TWELVE_BITS, "12-bit"), (LOSSLESS, "lossless"), (JPEG_LS, "JPEG-LS")])
def test_other_kinds_are_unsupported(text, kind):
    error = _fault(base64.b64decode(text))
    assert error.reason == "unsupported"
    assert str(error) == f"this kind of JPEG ({kind}) is not read; convert to baseline JPEG or PNG"


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b"\xff\xc5\0\x0b\x08", "hierarchical"),
        (b"\xff\xcf\0\x0b\x08", "hierarchical"),
        (b"\xff\xcb\0\x0b\x08", "lossless"),
        (b"\xff\xca\0\x0b\x0c", "12-bit"),
    ],
)
def test_a_frame_header_tells_the_kind(frame, kind):
    data = base64.b64decode(ARITHMETIC).replace(b"\xff\xc9\0\x0b\x08", frame)
    assert f"({kind})" in str(_fault(data))


def test_two_components_are_unsupported():
    frame, with_two = (
        b"\xff\xc9\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0",
        b"\xff\xc9\0\x0e\x08\0\x08\0\x08\x02\x01\x11\0\x02\x11\0",
    )
    data = base64.b64decode(ARITHMETIC)
    assert frame in data
    error = _fault(data.replace(frame, with_two))
    assert error.reason == "unsupported" and "(of 2 components)" in str(error)


def test_padding_between_segments_is_skipped_to_tell_the_kind():
    data = base64.b64decode(LOSSLESS).replace(b"\xff\xc3", b"\xff\xff\xff\xc3")
    assert _fault(data).reason == "unsupported"
