import io
import pickle

import numpy as np
import pytest

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError


def _npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


_RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize(
    ("array", "rgb"),
    [
        (_RGB, _RGB),
        (np.asfortranarray(_RGB), _RGB),
        (_RGB[:, :, 0], np.repeat(_RGB[:, :, :1], 3, axis=2)),
        (_RGB[:, :, :1], np.repeat(_RGB[:, :, :1], 3, axis=2)),
    ],
)
def test_arrays_of_bytes_are_images(array, rgb):
    found = decode(_npy(array))
    assert found.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(found, rgb)


@pytest.mark.parametrize("version", [(2, 0), (3, 0)])
def test_later_versions_of_the_format_are_read(version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, _RGB, version=version)
    np.testing.assert_array_equal(decode(stream.getvalue()), _RGB)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (_RGB.astype(np.float32), r"'<f4' \[5, 7, 3\]: images are uint8 \[height, width, 3\]"),
        (_RGB.transpose(2, 0, 1), r"'\|u1' \[3, 5, 7\]"),
        (np.zeros(768, np.uint8), r"'\|u1' \[768\]"),
        (np.zeros((0, 4, 3), np.uint8), r"'\|u1' \[0, 4, 3\]"),
        (np.zeros((4, 4), [("a", np.uint8)]), r"of \[ \[4, 4\]"),
        (np.zeros((4, 4), np.uint16), r"'<u2' \[4, 4\]"),
    ],
)
def test_other_arrays_are_unsupported(array, words):
    with pytest.raises(ImageError, match=words) as caught:
        decode(_npy(array))
    assert caught.value.reason == "unsupported"


class _Trap:
    def __reduce__(self):
        return _spring, ()


def _spring():
    raise AssertionError("a pickle was read")


def test_a_pickle_is_never_read():
    data = _npy(np.array([[_Trap()]], object), allow_pickle=True)
    with pytest.raises(AssertionError, match="a pickle was read"):
        pickle.loads(data[data.index(b"\n") + 1 :])
    with pytest.raises(ImageError, match=r"'\|O' \[1, 1\]"):
        decode(data)


@pytest.mark.parametrize("num_bytes", [6, 7, 20, 127, 150])
def test_a_cut_array_is_truncated(num_bytes):
    with pytest.raises(ImageError) as caught:
        decode(_npy(_RGB)[:num_bytes])
    assert caught.value.reason == "truncated"


def test_an_array_that_declares_too_many_pixels_is_refused_before_they_are_read():
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (60_000, 60_000)})
    with pytest.raises(ImageError) as caught:
        decode(stream.getvalue())
    assert caught.value.reason == "too-large"
