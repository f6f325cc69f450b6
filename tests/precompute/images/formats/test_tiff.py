"""TIFF: deflated pixels are verified by their checksum, and tiles count with their own size."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffTags

from lit_precompute.precompute.images.decoding import decode, open_image
from lit_precompute.precompute.images.errors import ImageError


def tiff(height: int = 40, width: int = 40, **options) -> bytes:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.random.default_rng(0).integers(0, 60, (height, width, 3)) + (rows + columns)[..., None] % 190
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "TIFF", **options)
    return stream.getvalue()


def test_a_damaged_byte_of_deflated_pixels_is_noticed():
    data = bytearray(tiff(200, 150, compression="tiff_deflate"))
    tags = Image.open(io.BytesIO(data)).tag_v2
    assert len(tags[273]) == 2
    places = [place for start, size in zip(tags[273], tags[279], strict=True) for place in range(start, start + size)]
    for place in places[2::397]:
        changed = data.copy()
        changed[place] ^= 1
        with pytest.raises(ImageError) as caught:
            decode(bytes(changed))
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("compression", ["tiff_deflate", "tiff_adobe_deflate"])
def test_whole_ones_are_decoded(compression):
    data = tiff(300, 200, compression=compression)
    np.testing.assert_array_equal(decode(data), decode(tiff(300, 200)))


def test_deflated_pixels_without_their_checksum_are_decoded():
    """Their writer was careless, and nothing is known to be damaged."""
    data = tiff(compression="tiff_deflate")
    tags = Image.open(io.BytesIO(data)).tag_v2
    count_entry = struct.pack("<HHI", 279, TiffTags.LONG, 1)
    place = data.index(count_entry) + 8
    shorter = data[:place] + struct.pack("<I", tags[279][0] - 4) + data[place + 4 :]
    np.testing.assert_array_equal(decode(shorter), decode(data))


def test_a_tile_counts_with_its_own_size():
    sides = {322: 4000, 323: 3000}
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    tags += [(tag, 4, side) for tag, side in sides.items()] + [(324, 4, 0), (325, 4, 12_000_000)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(tags))
    image = open_image(b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4))
    assert (image.width, image.height, image.num_pixels) == (16, 16, 12_000_000)


def test_a_jpeg_smaller_than_its_part_is_truncated():
    """libtiff leaves the other pixels uninitialised: each attempt would give others."""
    data = tiff(24, 31, compression="jpeg")
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 24, 31)
    assert data.count(frame) == 1
    for height, width in ((1, 31), (23, 31), (24, 30)):
        with pytest.raises(ImageError, match=f"part 0 has {width} x {height} pixels instead of 31 x 24"):
            decode(data.replace(frame, frame[:5] + struct.pack(">HH", height, width)))


def test_jpegs_in_several_strips_are_decoded():
    data = tiff(300, 700, compression="jpeg", quality=95)
    assert len(Image.open(io.BytesIO(data)).tag_v2[273]) > 2
    assert np.abs(decode(data).astype(int) - decode(tiff(300, 700))).mean() < 20
