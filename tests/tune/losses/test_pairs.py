"""Absent texts, several texts for each image and equal texts: each loss against its definition in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from lit_precompute.tune.losses import SigmoidOptions, SoftmaxOptions, make_loss
from lit_precompute.tune.losses.loss import Pairs
from tests.tune.losses import full_matrix

NUM_IMAGES, WIDTH = 9, 5
OPTIONS = {"softmax": SoftmaxOptions(), "sigmoid": SigmoidOptions()}
DEFINITIONS = {"softmax": full_matrix.softmax_loss, "sigmoid": full_matrix.sigmoid_loss}
PARAMETERS = {"softmax": {"log_scale": 1.7}, "sigmoid": {"log_scale": 1.7, "bias": -2.0}}
SIZES = {"tile_rows": 4, "tile_columns": 3}  # neither divides the batch: tiles are padded

kinds = pytest.mark.parametrize("kind", OPTIONS)


def batch(num_texts, seed=0):
    """Returns unit rows: images, and texts that are somewhat similar to them."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((NUM_IMAGES, WIDTH))
    texts = np.repeat(images, num_texts, axis=0) / 2 + rng.standard_normal((NUM_IMAGES * num_texts, WIDTH))
    return [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (images, texts)]


def pairs_of(num_texts, *, absent=False, equal=False):
    """Returns (present, ids): about a third of the texts absent, one image without any, three groups of equal texts."""
    rng = np.random.default_rng(1)
    present = np.ones((NUM_IMAGES, num_texts), bool)
    if absent:
        present = rng.random(present.shape) < 0.67
        present[2], present[3] = False, True
    ids = np.arange(present.size, dtype=np.int32).reshape(present.shape)
    if equal:
        ids[0, 0] = ids[4, -1] = ids[8, 0] = 3
        ids[5, 0] = ids[6, -1]
        ids[3, 0] = ids[7, -1]
    return present, ids


def found_of(kind, images, texts, pairs, *, image_is_trained=True, **more):
    """Returns (loss, dImages, dTexts, gradients of the parameters) of our loss."""
    loss = make_loss(OPTIONS[kind], image_is_trained=image_is_trained, **{**SIZES, **more})
    parameters = {name: jnp.float32(value) for name, value in PARAMETERS[kind].items()}
    value = lambda images, texts, parameters: loss.value(parameters, images, texts, pairs)  # noqa: E731
    return jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2)))(images, texts, parameters)


def expected_of(kind, images, texts, present, ids):
    """Returns the same of the definition."""
    arguments = [each.astype(np.float64) for each in (images, texts)] + list(PARAMETERS[kind].values())
    function = lambda *values: DEFINITIONS[kind](*values, present, ids)  # noqa: E731
    of_images, of_texts, *others = full_matrix.differences(function, *arguments)
    return function(*arguments), of_images, of_texts, dict(zip(PARAMETERS[kind], others, strict=True))


def assert_close(found, expected, tolerance=2e-5):
    """Checks loss and gradients; differences in float64 are good to 1e-9, float32 to about 1e-6."""
    loss, gradients = found
    np.testing.assert_allclose(loss, expected[0], rtol=tolerance)
    for got, want in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected[1:]), strict=True):
        # A parameter's gradient may be small because large terms cancel: then they say how well it is known.
        np.testing.assert_allclose(got, want, atol=tolerance * max(np.abs(want).max(), 0.1 * float(loss)))


@kinds
@pytest.mark.parametrize("num_texts", [1, 3])
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_matches_the_definition_in_float64(kind, num_texts, absent, equal):
    images, texts = batch(num_texts)
    present, ids = pairs_of(num_texts, absent=absent, equal=equal)
    pairs = Pairs(jnp.asarray(present) if absent else None, jnp.asarray(ids) if equal else None)
    assert_close(found_of(kind, images, texts, pairs), expected_of(kind, images, texts, present, ids))


@kinds
def test_all_present_and_none_equal_is_the_plain_loss(kind):
    images, texts = batch(1)
    pairs = Pairs(*(jnp.asarray(each) for each in pairs_of(1)))
    loss, gradients = found_of(kind, images, texts, pairs)
    assert_close(found_of(kind, images, texts, Pairs()), (loss, *gradients), 2e-6)


@kinds
@pytest.mark.parametrize("equal", [False, True])
def test_what_is_absent_has_no_gradient_and_no_effect(kind, equal):
    images, texts = batch(3)
    present, ids = pairs_of(3, absent=True, equal=equal)
    pairs = Pairs(jnp.asarray(present), jnp.asarray(ids) if equal else None)
    loss, (of_images, of_texts, _) = found_of(kind, images, texts, pairs)
    assert not np.any(of_images[~present.any(axis=1)])
    assert not np.any(of_texts[~present.reshape(-1)])
    other = np.where(present.reshape(-1, 1), texts, batch(3, seed=7)[1])
    assert found_of(kind, images, other, pairs)[0] == loss


@kinds
@pytest.mark.parametrize("num_texts", [1, 2])
def test_a_batch_without_texts_has_no_loss_and_no_gradient(kind, num_texts):
    images, texts = batch(num_texts)
    pairs = Pairs(jnp.zeros((NUM_IMAGES, num_texts), bool), jnp.zeros((NUM_IMAGES, num_texts), jnp.int32))
    for leaf in jax.tree.leaves(found_of(kind, images, texts, pairs)):
        assert not np.any(leaf)


@kinds
def test_locked_images_change_no_other_gradient(kind):
    images, texts = batch(3)
    present, ids = pairs_of(3, absent=True, equal=True)
    pairs = Pairs(jnp.asarray(present), jnp.asarray(ids))
    loss, (_, *others) = found_of(kind, images, texts, pairs)
    locked_loss, (of_images, *locked_others) = found_of(kind, images, texts, pairs, image_is_trained=False)
    assert not np.any(of_images)
    for got, want in zip(jax.tree.leaves((locked_loss, locked_others)), jax.tree.leaves((loss, others)), strict=True):
        np.testing.assert_array_equal(got, want)


@kinds
@pytest.mark.parametrize("sizes", [(1, 1), (2, 9), (27, 4), (100, 100)])
def test_tile_sizes_do_not_change_the_numbers(kind, sizes):
    images, texts = batch(3)
    present, ids = pairs_of(3, absent=True, equal=True)
    pairs = Pairs(jnp.asarray(present), jnp.asarray(ids))
    loss, gradients = found_of(kind, images, texts, pairs)
    assert_close(
        found_of(kind, images, texts, pairs, tile_rows=sizes[0], tile_columns=sizes[1]), (loss, *gradients), 2e-6
    )


def test_the_values_are_scikit_learns_log_loss():
    """Rows with a text, one text each: the softmax loss is two log losses, the sigmoid loss a binary one."""
    images, texts = batch(1)
    present = pairs_of(1, absent=True)[0]
    pairs, is_in = Pairs(jnp.asarray(present)), present[:, 0]
    count, labels = is_in.sum(), np.arange(is_in.sum())
    logits = np.exp(1.7) * texts[is_in].astype(np.float64) @ images[is_in].T
    both = [
        sklearn.metrics.log_loss(labels, scipy.special.softmax(each, axis=1), labels=labels)
        for each in (logits, logits.T)
    ]
    np.testing.assert_allclose(found_of("softmax", images, texts, pairs)[0], np.mean(both), rtol=1e-5)
    binary = sklearn.metrics.log_loss(np.eye(count).ravel(), scipy.special.expit(logits - 2).ravel())
    np.testing.assert_allclose(found_of("sigmoid", images, texts, pairs)[0], count * binary, rtol=1e-5)
