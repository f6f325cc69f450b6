"""Losses within groups and over fields: against the loss of each group or field alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.tune.losses import SigmoidOptions, SoftmaxOptions, make_loss
from lit_precompute.tune.losses.loss import Pairs
from tests.tune.losses import full_matrix

NUM_IMAGES, WIDTH, NUM_TEXTS, NUM_FIELDS = 12, 5, 2, 3
KINDS = {
    "softmax": (SoftmaxOptions, full_matrix.softmax_loss, {"log_scale": 1.7}),
    "sigmoid": (SigmoidOptions, full_matrix.sigmoid_loss, {"log_scale": 1.7, "bias": -2.0}),
}


def batch(num_texts):
    """Returns images, texts, which texts are present, and which are equal."""
    rng = np.random.default_rng(0)
    images, texts = rng.standard_normal((NUM_IMAGES, WIDTH)), rng.standard_normal((NUM_IMAGES * num_texts, WIDTH))
    present = rng.random((NUM_IMAGES, num_texts)) < 0.6
    present[4:8] = False  # a group without any text
    ids = rng.integers(0, 15, present.shape).astype(np.int32)
    unit = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (images, texts)]
    return *unit, present, ids


def found_of(options, parameters, images, texts, pairs, **more):
    loss = make_loss(options, image_is_trained=True, tile_rows=5, tile_columns=3, **more)
    value = lambda images, texts, parameters: loss.value(parameters, images, texts, pairs)  # noqa: E731
    given = {name: jnp.float32(value) for name, value in parameters.items()}
    return jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2)))(images, texts, given)


def assert_matches(found, definition, images, texts, parameters):
    """Checks loss and gradients against a definition and its differences in float64."""
    arguments = [each.astype(np.float64) for each in (images, texts)] + list(parameters.values())
    loss, gradients = found
    np.testing.assert_allclose(loss, definition(*arguments), rtol=2e-5)
    expected = full_matrix.differences(definition, *arguments)
    found_parameters = [gradients[2][name] for name in parameters]
    for got, want in zip([*gradients[:2], *found_parameters], expected, strict=True):
        # A parameter's gradient may be small because large terms cancel: then they say how well it is known.
        np.testing.assert_allclose(got, want, atol=max(2e-5 * np.abs(want).max(), 2e-6 * float(loss)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_groups_are_contrasted_within_themselves(kind, is_masked):
    """The definition: the loss of each group alone, averaged over the images that take part."""
    make, of_matrix, parameters = KINDS[kind]
    images, texts, present, ids = batch(NUM_TEXTS)
    if not is_masked:
        present, ids = np.ones_like(present), np.arange(ids.size, dtype=np.int32).reshape(ids.shape)

    def definition(images, texts, *values):
        weights, losses = [], []
        for first in range(0, NUM_IMAGES, 4):
            group = slice(first, first + 4)
            own = texts.reshape(NUM_IMAGES, NUM_TEXTS, WIDTH)[group].reshape(-1, WIDTH)
            weights.append(present[group].any(axis=1).sum())
            losses.append(of_matrix(images[group], own, *values, present[group], ids[group]))
        return np.average(losses, weights=weights)

    pairs = Pairs(jnp.asarray(present), jnp.asarray(ids)) if is_masked else Pairs()
    found = found_of(make(group_size=4), parameters, images, texts, pairs)
    assert_matches(found, definition, images, texts, parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_of_the_whole_batch_is_the_global_loss(kind):
    make, _, parameters = KINDS[kind]
    images, texts, present, ids = batch(NUM_TEXTS)
    pairs = Pairs(jnp.asarray(present), jnp.asarray(ids))
    found, expected = (
        jax.tree.leaves(found_of(make(group_size=size), parameters, images, texts, pairs))
        for size in (NUM_IMAGES, None)
    )
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_joint_fields_are_summed(kind, is_masked):
    """The definition: the loss of each field's texts alone; an image without the field takes no part in it."""
    make, of_matrix, parameters = KINDS[kind]
    images, texts, present, ids = batch(NUM_FIELDS * NUM_TEXTS)
    if not is_masked:
        present, ids = np.ones_like(present), np.arange(ids.size, dtype=np.int32).reshape(ids.shape)

    def definition(images, texts, *values):
        losses = []
        for field in range(NUM_FIELDS):
            columns = slice(field * NUM_TEXTS, (field + 1) * NUM_TEXTS)
            own = texts.reshape(NUM_IMAGES, -1, WIDTH)[:, columns].reshape(-1, WIDTH)
            losses.append(of_matrix(images, own, *values, present[:, columns], ids[:, columns]))
        return sum(losses)

    pairs = Pairs(jnp.asarray(present), jnp.asarray(ids)) if is_masked else Pairs()
    found = found_of(make(), parameters, images, texts, pairs, num_fields=NUM_FIELDS)
    assert_matches(found, definition, images, texts, parameters)
