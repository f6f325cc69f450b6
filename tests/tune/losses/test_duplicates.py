"""Numbers of equal texts, and their count, against Python's own comparison of bytes."""

import collections

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.losses.duplicates import count_duplicates, text_ids

NUM_IMAGES, NUM_TEXTS = 40, 3


def drawn(kind):
    """Returns texts of which many are equal: few different ones, some of which differ in one place alone."""
    rng = np.random.default_rng(0)
    different = rng.integers(0, 3, (30, 6)).astype(np.int32)
    different[15:] = different[:15] + np.eye(6, dtype=np.int32)[rng.integers(0, 6, 15)]
    chosen = different[rng.integers(0, 30, NUM_IMAGES * NUM_TEXTS)]
    if kind == "tokens":
        return chosen
    scales = None
    if kind == "int8":
        scales = rng.integers(1, 3, len(chosen)).astype(np.float32)
    return StoredVectors(chosen.astype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind), scales)


def texts_of(inputs):
    """Returns the bytes of each text."""
    if isinstance(inputs, StoredVectors):
        return [inputs.row_bytes(row) for row in range(len(inputs.numbers))]
    return [row.tobytes() for row in inputs]


@pytest.mark.parametrize("kind", ["tokens", "float32", "float16", "bfloat16", "int8"])
def test_texts_have_the_same_number_where_their_bytes_are_equal(kind):
    inputs = drawn(kind)
    texts, ids = texts_of(inputs), np.asarray(jax.jit(text_ids, static_argnums=1)(inputs, NUM_IMAGES)).ravel()
    assert 1 < len(set(texts)) < len(texts)
    assert len(set(zip(texts, ids, strict=True))) == len(set(texts)) == len(set(ids))
    assert set(ids) == set(range(len(set(texts))))


def test_texts_of_different_fields_are_different():
    inputs = np.zeros((NUM_IMAGES * 6, 4), np.int32)
    ids = np.asarray(text_ids(inputs, NUM_IMAGES, 3))
    assert [len({*ids[:, column]}) for column in range(6)] == [1] * 6
    assert ids[0, 0] == ids[0, 1] != ids[0, 2] == ids[0, 3] != ids[0, 4] == ids[0, 5] != ids[0, 0]


@pytest.mark.parametrize("absent", [False, True])
def test_counts_present_texts_that_equal_one_of_another_image(absent):
    inputs = drawn("tokens")
    texts = np.array(texts_of(inputs)).reshape(NUM_IMAGES, NUM_TEXTS)
    present = np.random.default_rng(1).random(texts.shape) < (0.4 if absent else 2)
    owners = collections.defaultdict(set)
    for (image, place), text in np.ndenumerate(texts):
        if present[image, place]:
            owners[text].add(image)
    expected = sum(len(owners[text]) > 1 for text in texts[present])
    found = count_duplicates(text_ids(inputs, NUM_IMAGES), jnp.asarray(present) if absent else None)
    assert 0 < expected < present.sum()
    assert found == expected


def test_an_images_own_equal_texts_and_absent_ones_are_no_duplicates():
    tokens = np.array([[1], [1], [2], [3], [0], [0], [4], [0]], np.int32)  # the zeros are absent
    present = jnp.array([[True, True], [True, True], [False, False], [True, False]])
    assert count_duplicates(text_ids(tokens, 4), present) == 0
