import dataclasses
import json

import jax
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.preprocessing import normalise, prepare
from lit_precompute.precompute.images.resizing import resize, resize_to_floats
from lit_precompute.towers.preprocessing import Preprocessing, Scale, Standardise

RESIZES = [("bilinear", False), ("bilinear", True), ("bicubic", False), ("bicubic", True), ("area", False)]
VGG = Standardise(mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), deviation=(0.229 * 255, 0.224 * 255, 0.225 * 255))
EFFICIENTNET = Standardise(mean=(127.0,) * 3, deviation=(128.0,) * 3)


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, height, width]).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _oracle_resize(image: np.ndarray, shape: tuple[int, int], method: str, antialias: bool) -> np.ndarray:
    """big_vision's `resize`: TensorFlow's public function, then clip and cast."""
    resized = tf.image.resize(image, shape, method=method, antialias=antialias)
    return tf.cast(tf.clip_by_value(resized, 0, 255), tf.uint8).numpy()


def _oracle_resize_small(image: np.ndarray, side: int, method: str) -> np.ndarray:
    """big_vision's `resize_small`, every step in TensorFlow's float32."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    factor = tf.cast(side, tf.float32) / tf.cast(tf.minimum(height, width), tf.float32)
    new_height = tf.cast(tf.round(tf.cast(height, tf.float32) * factor), tf.int32)
    new_width = tf.cast(tf.round(tf.cast(width, tf.float32) * factor), tf.int32)
    return _oracle_resize(image, (new_height, new_width), method, antialias=False)


def _oracle_central_crop(image: np.ndarray, size: int) -> np.ndarray:
    top, left = (tf.shape(image)[0] - size) // 2, (tf.shape(image)[1] - size) // 2
    return tf.image.crop_to_bounding_box(image, top, left, size, size).numpy()


@pytest.mark.parametrize(("method", "antialias"), RESIZES)
@settings(max_examples=60)
@given(shape=st.tuples(st.integers(1, 300), st.integers(1, 300)), size=st.integers(1, 260), seed=st.integers(0, 9))
def test_resize_matches_tensorflow_to_the_byte(method, antialias, shape, size, seed):
    image = _noise(*shape, seed)
    expected = _oracle_resize(image, (size, size), method, antialias)
    np.testing.assert_array_equal(resize(image, size, size, method=method, antialias=antialias), expected)


@pytest.mark.parametrize(("method", "antialias"), RESIZES)
@pytest.mark.parametrize("shape", [(128, 128), (1, 1), (37, 5)])
def test_a_resize_to_the_same_size_is_tensorflows_too(method, antialias, shape):
    image = _noise(*shape)
    assert resize(image, *shape, method=method, antialias=antialias) is image
    np.testing.assert_array_equal(_oracle_resize(image, shape, method, antialias), image)


_FILTERS = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    # Keys's cubic, a = -1/2.
    "bicubic": (
        2,
        lambda x: np.where(x < 1, (1.5 * x - 2.5) * x**2 + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0)),
    ),
}


def _oracle_weights(old: int, new: int, method: str) -> np.ndarray:
    """The weights of an antialiased resize of one side, float64 [new, old], by the filter's definition."""
    reach, value = _FILTERS[method]
    scale = old / new
    widened = max(scale, 1)
    distances = np.abs((np.arange(old) + 0.5) - (np.arange(new)[:, None] + 0.5) * scale) / widened
    weights = np.where(distances < reach, value(distances), 0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    new=st.tuples(st.integers(1, 260), st.integers(1, 260)),
    seed=st.integers(0, 9),
)
def test_a_resize_to_floats_matches_float64_numpy(method, shape, new, seed):
    """To 1e-3 of 255: between its two passes Pillow keeps float32. test_hugging_face compares with torchvision."""
    image = _noise(*shape, seed)
    rows, columns = (_oracle_weights(*pair, method) for pair in zip(shape, new, strict=True))
    expected = np.einsum("ya,xb,abc->yxc", rows, columns, image.astype(np.float64), optimize=True)
    found = resize_to_floats(image, *new, method)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("value_range", [VGG, EFFICIENTNET, Scale(), Scale(low=-1.3, high=2.7)])
def test_pixels_of_floats_are_normalised_by_arithmetic(value_range):
    pixels = np.linspace(-30, 290, 6000, dtype=np.float32).reshape(2, 10, 100, 3)
    preprocessing = Preprocessing(size=16, antialias=True, resampler="torch", value_range=value_range)
    found = jax.jit(lambda images: normalise(preprocessing, images))(pixels)
    wide = pixels.astype(np.float64)
    if isinstance(value_range, Scale):
        expected = value_range.low + wide / 255 * (value_range.high - value_range.low)
    else:
        expected = (wide - np.array(value_range.mean)) / np.array(value_range.deviation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_crop_and_a_view_of_floats():
    image = _noise(50, 90)
    cropping = Preprocessing(
        size=20, resize="short_side", resize_size=30, antialias=True, resampler="torch", crop="central"
    )
    whole = resize_to_floats(image, 30, 54, "bilinear")
    np.testing.assert_array_equal(prepare(image, cropping), whole[5:25, 17:37])
    view = prepare(image, cropping.of_view(1), "key")
    assert view.dtype == np.float32 and view.shape == (20, 20, 3)
    rounded = prepare(image, dataclasses.replace(cropping, resampler="pillow").of_view(1), "key")
    np.testing.assert_allclose(view, rounded, rtol=0, atol=0.6 + 0.5)  # Pillow rounds after each of its two passes


@pytest.mark.parametrize("shape", [(500, 375), (333, 500), (224, 224), (256, 256), (90, 61), (1, 7), (2000, 1501)])
@pytest.mark.parametrize("size", [224, 128, 97])
def test_zero_shot_preprocessing_matches_big_vision(shape, size):
    image, resized = _noise(*shape), int(size / 0.875)
    preprocessing = Preprocessing(size=size, resize_size=resized, crop="central")
    expected = _oracle_central_crop(_oracle_resize(image, (resized, resized), "bilinear", False), size)
    np.testing.assert_array_equal(prepare(image, preprocessing), expected)


@pytest.mark.parametrize("shape", [(500, 375), (333, 501), (298, 298), (90, 61), (1, 7), (700, 31)])
@pytest.mark.parametrize("method", ["area", "bilinear", "bicubic"])
def test_short_side_preprocessing_matches_big_vision(shape, method):
    image, side = _noise(*shape), int(224 / 0.75)
    preprocessing = Preprocessing(size=224, resize="short_side", resize_size=side, method=method, crop="central")
    expected = _oracle_central_crop(_oracle_resize_small(image, side, method), 224)
    np.testing.assert_array_equal(prepare(image, preprocessing), expected)


def test_a_strip_that_would_grow_beyond_bounds_is_refused():
    preprocessing = Preprocessing(size=256, resize="short_side", crop="central")
    with pytest.raises(ImageError, match=r"30000 x 1 pixels resized to 7680000 x 256 .*; at most 67,108,864") as caught:
        prepare(np.zeros((1, 30_000, 3), np.uint8), preprocessing)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize("resampler", ["tensorflow", "pillow", "torch"])
def test_a_resize_whose_first_pass_would_grow_beyond_bounds_is_refused(resampler):
    """Antialiasing resizes the rows first, Pillow the columns: what lies between is as long as the image."""
    preprocessing = Preprocessing(size=224, antialias=True, resampler=resampler)
    strip = np.zeros((1, 300_000, 3), np.uint8)
    with pytest.raises(ImageError, match=r"need 67,200,000 pixels on the way") as caught:
        prepare(strip if resampler == "tensorflow" else strip.transpose(1, 0, 2), preprocessing)
    assert caught.value.reason == "too-large"


def _all_values() -> np.ndarray:
    return np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), (2, 16, 16, 3))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (0.0, 255.0), (-1.3, 2.7)])
def test_scale_matches_tensorflow_to_the_bit_inside_jit(low, high):
    preprocessing = Preprocessing(size=16, value_range=Scale(low=low, high=high))
    values = jax.jit(lambda images: normalise(preprocessing, images))(_all_values())
    scaled = (tf.cast(_all_values(), tf.float32) - tf.constant(0, tf.float32)) / tf.constant(255.0)
    expected = (low + scaled * (high - low)).numpy()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(values).view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("value_range", [VGG, EFFICIENTNET])
def test_standardise_matches_tensorflow_to_the_bit_inside_jit(value_range):
    preprocessing = Preprocessing(size=16, value_range=value_range)
    values = jax.jit(lambda images: normalise(preprocessing, images))(_all_values())
    mean, deviation = tf.constant(value_range.mean, tf.float32), tf.constant(value_range.deviation, tf.float32)
    expected = ((tf.cast(_all_values(), tf.float32) - mean) / deviation).numpy()
    np.testing.assert_array_equal(np.asarray(values).view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(size=224),
        Preprocessing(size=224, resize_size=256, crop="central", antialias=True, method="bicubic", jpeg="accurate"),
        Preprocessing(size=224, resize="short_side", resize_size=298, method="area", crop="central", value_range=VGG),
        Preprocessing(size=224, antialias=True, resampler="torch"),
    ],
)
def test_json_round_trip(preprocessing):
    plain = preprocessing.to_json()
    assert Preprocessing.from_json(plain) == preprocessing
    assert Preprocessing.from_json(plain).to_json() == plain


def test_equal_ranges_have_one_json():
    wholes = Preprocessing(size=1, value_range=Standardise(mean=(127, 127, 127), deviation=(128, 128, 128)))
    assert json.dumps(wholes.to_json()) == json.dumps(Preprocessing(size=1, value_range=EFFICIENTNET).to_json())
    plain = Preprocessing(size=1, value_range=Scale(low=-1, high=1))
    assert json.dumps(plain.to_json()) == json.dumps(Preprocessing(size=1).to_json())


def test_json_is_literally_this():
    assert Preprocessing(size=128, value_range=EFFICIENTNET).to_json() == {
        "size": 128,
        "resize": "square",
        "resize_size": 128,
        "method": "bilinear",
        "antialias": False,
        "resampler": "tensorflow",
        "crop": "none",
        "value_range": {"kind": "standardise", "mean": [127.0] * 3, "deviation": [128.0] * 3},
        "jpeg": "fast",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, r"unknown keys \['colour'\]"),
        ({"value_range": {"kind": "scale", "low": 0}}, r"value_range: unknown keys \[\], missing keys \['high'\]"),
        ({"value_range": {"kind": "log"}}, r"kind must be one of \['scale', 'standardise'\], got 'log'"),
        ({"method": "nearest"}, r"preprocessing.method must be one of .* got 'nearest'"),
        ({"resize": "short_side"}, r"without a crop .* set crop='central'"),
        ({"resize_size": 100, "crop": "central"}, r"crop 224 must be <= resize_size, got 100"),
        ({"method": "area", "antialias": True}, r"'area' already averages"),
        ({"resampler": "pillow"}, r"'pillow' always antialiases; set antialias=True"),
        ({"resampler": "torch"}, r"'torch' always antialiases; set antialias=True"),
        ({"resampler": "torch", "method": "area"}, r"torch has no antialiased method 'area'"),
        ({"size": 0, "resize_size": 0}, r"must be >= 1, got 0 and 0"),
    ],
)
def test_wrong_json_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_json({**Preprocessing(size=224).to_json(), **change})


def test_missing_keys_are_named():
    with pytest.raises(ValueError, match=r"missing keys \['antialias', 'crop', 'jpeg'.*'value_range'\]"):
        Preprocessing.from_json({"size": 224})


def test_wrong_value_ranges_are_refused():
    with pytest.raises(ValueError, match=r"low must be < high, got 1\.0 and 1\.0"):
        Scale(low=1.0, high=1.0)
    with pytest.raises(ValueError, match="deviation must be > 0"):
        Standardise(mean=(0.0, 0.0, 0.0), deviation=(1.0, 0.0, 1.0))
