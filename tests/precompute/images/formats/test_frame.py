"""The short way to a JPEG's header against Pillow's reader: where it answers, both agree."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from lit_precompute.precompute.images.formats.frame import plain_frame

ORIENTATION = 0x0112


def _encoded(mode: str = "RGB", **options) -> bytes:
    pixels = np.arange(31 * 23 * 3, dtype=np.uint32).astype(np.uint8).reshape(31, 23, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


PLAIN = {
    "RGB": _encoded(),
    "grey": _encoded("L"),
    "CMYK": _encoded("CMYK"),
    "progressive": _encoded(progressive=True),
    "comment": _encoded(comment=b"a comment"),
    "profile": _encoded(icc_profile=bytes(300)),
    "restarts": _encoded(restart_marker_blocks=2),
}
OTHERS = {"exif": _encoded(exif=_exif(6)), "upright exif": _encoded(exif=_exif(1))}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_headers_are_read_without_pillow(name):
    frame = plain_frame(PLAIN[name])
    assert frame is not None and (frame.width, frame.height) == (23, 31)


@pytest.mark.parametrize("name", OTHERS)
def test_exif_is_pillows(name):
    assert plain_frame(OTHERS[name]) is None


@settings(max_examples=400)
@given(
    data=st.sampled_from([*PLAIN.values(), *OTHERS.values()]),
    place=st.floats(0, 1),
    change=st.sampled_from(["cut", "remove", "insert", "byte"]),
    value=st.sampled_from([0, 1, 2, 3, 0x11, 0xC0, 0xC4, 0xDA, 0xDB, 0xE1, 0xED, 0xFF]),
)
def test_where_it_answers_pillow_agrees(data, place, change, value):
    at = 2 + int(place * (data.index(b"\xff\xda") + 12))
    changed = {
        "cut": data[:at],
        "remove": data[:at] + data[at + 1 :],
        "insert": data[:at] + bytes([value]) + data[at:],
        "byte": data[:at] + bytes([value]) + data[at + 1 :],
    }[change]
    frame = plain_frame(changed)
    if frame is not None:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(changed))
        assert image.size == (frame.width, frame.height)
        assert image.getexif().get(ORIENTATION, 1) == 1
