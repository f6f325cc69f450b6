"""Random views: big_vision's crop and flip, drawn from the key and the number of the view alone."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.images.augmenting import draw_view
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.towers.augmentation import Augmentation
from lit_precompute.towers.preprocessing import Preprocessing

NUM_DRAWS = 2000


def _draw_with_tensorflow(height, width, seed):
    """big_vision's inception_crop: (top, left, height, width)."""
    begin, size, _ = tf.raw_ops.StatelessSampleDistortedBoundingBox(
        image_size=np.array([height, width, 3], np.int32),
        bounding_boxes=np.zeros((1, 0, 4), np.float32),
        min_object_covered=np.float32(0),
        seed=np.array([seed, 7], np.int32),
        area_range=[0.05, 1.0],
        use_image_if_no_bounding_boxes=True,
    )
    return (*begin.numpy()[:2], *size.numpy()[:2])


@pytest.mark.parametrize("shape", [(480, 640), (640, 300)])
def test_crops_are_distributed_as_tensorflows(shape):
    ours = np.array([draw_view(f"row {row}", *shape, Augmentation(view=1))[:4] for row in range(NUM_DRAWS)])
    theirs = np.array([_draw_with_tensorflow(*shape, seed) for seed in range(NUM_DRAWS)])
    figures = {
        "area": lambda crops: crops[:, 2] * crops[:, 3],
        "aspect": lambda crops: crops[:, 3] / crops[:, 2],
        "top": lambda crops: crops[:, 0],
        "left": lambda crops: crops[:, 1],
    }
    for name, figure in figures.items():
        assert scipy.stats.ks_2samp(figure(ours), figure(theirs)).pvalue > 0.01, name


def test_half_of_the_views_are_flipped_independently_of_the_crop():
    drawn = [draw_view(f"row {row}", 100, 100, Augmentation(view=2)) for row in range(NUM_DRAWS)]
    flipped = np.array([view.is_flipped for view in drawn])
    assert abs(flipped.mean() - 0.5) < 3 * 0.5 / NUM_DRAWS**0.5
    heights = np.array([view.height for view in drawn])
    assert scipy.stats.ks_2samp(heights[flipped], heights[~flipped]).pvalue > 0.01


def test_these_are_drawn_for_ever():
    """A unit that is embedded again, by any later version, has the same bytes."""
    drawn = [tuple(draw_view(key, 480, 640, Augmentation(view=view))) for key in ("a", "é/0") for view in (1, 2)]
    assert drawn == [
        (138, 132, 264, 281, True),
        (19, 134, 309, 295, False),
        (187, 94, 255, 194, True),
        (190, 311, 215, 218, True),
    ]


@settings(max_examples=200)
@given(shape=st.tuples(st.integers(1, 300), st.integers(1, 300)), key=st.text(max_size=4), view=st.integers(1, 9))
def test_a_view_is_a_part_of_the_image_of_the_declared_area_and_aspect_or_all_of_it(shape, key, view):
    height, width = shape
    drawn = draw_view(key, height, width, Augmentation(view=view))
    assert 0 <= drawn.top <= height - drawn.height and 0 <= drawn.left <= width - drawn.width
    if (drawn.height, drawn.width) != shape:
        assert 0.05 * height * width <= drawn.height * drawn.width
        assert 0.75 * drawn.height - 0.5 <= drawn.width <= 1.33 * drawn.height + 0.5
    assert drawn == draw_view(key, height, width, Augmentation(view=view))


def _image(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(size=48),
        Preprocessing(size=48, resize_size=56, crop="central", method="bicubic", antialias=True),
        Preprocessing(size=48, resize="short_side", resize_size=64, crop="central", antialias=True),
    ],
)
@pytest.mark.parametrize("key", ["a", "b", "c", "d"])
def test_a_view_is_the_drawn_part_resized_by_tensorflow_and_flipped(preprocessing, key):
    """As inception_crop and flip_lr treat it: the resize is to the square, whatever the tower's own is."""
    image, view = _image(70, 90), preprocessing.of_view(3)
    top, left, height, width, is_flipped = draw_view(key, 70, 90, Augmentation(view=3))
    crop = tf.slice(image, (top, left, 0), (height, width, 3))
    resized = tf.image.resize(crop, (48, 48), view.method, antialias=view.antialias)
    resized = tf.cast(tf.clip_by_value(resized, 0, 255), tf.uint8)
    expected = tf.image.flip_left_right(resized) if is_flipped else resized
    np.testing.assert_array_equal(prepare(image, view, key), expected)


def test_a_view_with_pillows_resize():
    image, view = _image(70, 90), Preprocessing(size=90, resampler="pillow", antialias=True).of_view(1)
    drawn = {key: draw_view(key, 70, 90, Augmentation(view=1)) for key in "abcdefgh"}
    assert len({each.is_flipped for each in drawn.values()}) == 2
    for key, (top, left, height, width, is_flipped) in drawn.items():
        plain = prepare(
            image[top : top + height, left : left + width], Preprocessing(size=90, resampler="pillow", antialias=True)
        )
        found = prepare(image, view, key)
        assert (found.flags.c_contiguous and found.base is None) or not np.shares_memory(found, image)
        np.testing.assert_array_equal(found, plain[:, ::-1] if is_flipped else plain)


def test_the_card_of_a_view_is_literally_this():
    plain = Preprocessing(size=128, resize="short_side", resize_size=144, crop="central").of_view(2).to_json()
    assert plain == {
        **Preprocessing(size=128).to_json(),
        "augmentation": {"view": 2, "area": [0.05, 1.0], "aspect": [0.75, 1.33], "flip": 0.5},
    }
    assert Preprocessing.from_json(plain) == Preprocessing(size=128).of_view(2)
    assert "augmentation" not in Preprocessing(size=128).to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"view": 0}, r"view must be a number from 1, got 0"),
        ({"area": [0.5, 1.5]}, r"area must be at most 1, got 1\.5"),
        ({"aspect": [2, 1]}, r"aspect must be two numbers, 0 < least <= largest, got \(2\.0, 1\.0\)"),
        ({"flip": 2}, r"flip must be in \[0, 1\], got 2\.0"),
        ({"rotate": 2}, r"keys must be \['area', 'aspect', 'flip', 'view'\], got .*'rotate'"),
    ],
)
def test_wrong_augmentations_are_refused(change, message):
    plain = Preprocessing(size=8).of_view(1).to_json()
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_json({**plain, "augmentation": {**plain["augmentation"], **change}})
    with pytest.raises(ValueError, match="a random view is a crop already"):
        Preprocessing.from_json({**plain, "crop": "central"})
