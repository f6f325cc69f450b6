"""The loss and its gradients against the full matrix in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.tune.losses.loss import ONE_EACH
from lit_precompute.tune.losses.softmax import contrastive_loss, unit_rows
from lit_precompute.tune.losses.tiles import TileSizes

TILES = TileSizes(16, 16)


def _float64_oracle(images, texts, log_scale):
    """Returns (loss, dImages, dTexts, dLogScale) from the full matrix: two cross-entropies, differentiated by hand."""
    images, texts = images.astype(np.float64), texts.astype(np.float64)
    scale, count = np.exp(np.float64(log_scale)), len(images)
    logits = scale * texts @ images.T

    def log_softmax(axis):
        shifted = logits - logits.max(axis=axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))

    by_text, by_image = log_softmax(1), log_softmax(0)
    loss = -(np.diag(by_text).mean() + np.diag(by_image).mean()) / 2
    to_logits = (np.exp(by_text) + np.exp(by_image) - 2 * np.eye(count)) / (2 * count)
    return loss, scale * to_logits.T @ texts, scale * to_logits @ images, (to_logits * logits).sum()


def _batch(count, width, seed=0):
    # Pairs that are somewhat similar, as in training. (A loss near zero would consist of rounding errors.)
    rng = np.random.default_rng(seed)
    images, texts = rng.standard_normal((2, count, width))
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, 0.3 * images + texts)]
    return [rows.astype(np.float32) for rows in unit]


def _all_gradients(images, texts, log_scale, tile_rows, tile_columns=48):
    function = jax.jit(jax.value_and_grad(contrastive_loss, argnums=(0, 1, 2)), static_argnums=(4, 5))
    sizes = TileSizes(tile_rows, tile_columns)
    loss, gradients = function(images, texts, jnp.float32(log_scale), ONE_EACH, sizes, True)
    return [np.asarray(value) for value in (loss, *gradients)]


def _relative(found, expected):
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("count", [2, 7, 64, 200, 257])
@pytest.mark.parametrize("scale", [1.0, 10.0, 40.0])
def test_matches_float64_numpy(count, scale):
    images, texts = _batch(count, 32)
    found = _all_gradients(images, texts, np.log(scale), tile_rows=64)
    for got, expected in zip(found, _float64_oracle(images, texts, np.log(scale)), strict=True):
        assert _relative(got, expected) <= 1e-5


def test_a_large_scale_neither_overflows_nor_vanishes():
    """At scale 1,000 exponents reach 2,000, far beyond float32 without shifts."""
    rng = np.random.default_rng(3)
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in rng.standard_normal((2, 50, 8)))
    found = _all_gradients(images.astype(np.float32), texts.astype(np.float32), np.log(1000.0), tile_rows=16)
    expected = _float64_oracle(images.astype(np.float32), texts.astype(np.float32), np.log(np.float32(1000.0)))
    for got, want in zip(found, expected, strict=True):
        # Logits of 1,000 carry 6e-5 of rounding into every exponent.
        assert _relative(got, want) <= 3e-4


def test_matches_float64_numpy_without_unit_norms():
    images, texts = _batch(40, 16)
    found = _all_gradients(3 * images, 2 * texts, 0.5, tile_rows=16)
    for got, want in zip(found, _float64_oracle(3 * images, 2 * texts, 0.5), strict=True):
        assert _relative(got, want) <= 1e-5


@pytest.mark.parametrize(
    ("tile_rows", "tile_columns"), [(1, 100), (3, 7), (32, 99), (99, 32), (100, 1), (101, 50), (4096, 4096)]
)
def test_tile_size_does_not_change_the_numbers(tile_rows, tile_columns):
    images, texts = _batch(100, 24)
    expected = _all_gradients(images, texts, 2.0, tile_rows=50, tile_columns=50)
    for got, want in zip(_all_gradients(images, texts, 2.0, tile_rows, tile_columns), expected, strict=True):
        assert _relative(got, want) <= 2e-6


def test_one_pair_has_no_loss_and_no_gradient():
    images, texts = _batch(1, 8)
    for value in _all_gradients(images, texts, 2.0, tile_rows=8):
        np.testing.assert_allclose(value, 0.0, atol=1e-6)


def test_duplicated_pairs_share_their_probability():
    images, texts = (np.repeat(rows, 2, axis=0) for rows in _batch(20, 8))
    for got, want in zip(_all_gradients(images, texts, 2.0, 16), _float64_oracle(images, texts, 2.0), strict=True):
        assert _relative(got, want) <= 1e-5


def test_locked_images_have_no_gradient_and_cost_no_product():
    images, texts = _batch(64, 16)

    def products(image_gradient):
        gradient = jax.grad(
            lambda t, v: contrastive_loss(v, t, jnp.float32(2.0), ONE_EACH, TILES, image_gradient), argnums=(0, 1)
        )
        return str(jax.make_jaxpr(gradient)(texts, images)).count("dot_general")

    locked = jax.grad(lambda v: contrastive_loss(v, texts, jnp.float32(2.0), ONE_EACH, TILES))(images)
    assert not np.any(np.asarray(locked))
    # Forward: similarities and their row sums; backward: similarities and W V, and only with a gradient W' U.
    assert (products(False), products(True)) == (4, 5)


def test_bfloat16_embeddings_accumulate_in_float32():
    images, texts = (jnp.asarray(rows, jnp.bfloat16) for rows in _batch(128, 32))
    loss = contrastive_loss(images, texts, jnp.float32(2.0), ONE_EACH, TileSizes(32, 32))
    expected = _float64_oracle(np.asarray(images, np.float32), np.asarray(texts, np.float32), 2.0)[0]
    assert loss.dtype == jnp.float32
    assert abs(float(loss) - expected) <= 1e-5 * expected


def test_memory_does_not_grow_with_the_square_of_the_batch():
    def temporary_bytes(count):
        rows = jax.ShapeDtypeStruct((count, 64), jnp.float32)
        loss = lambda t, v: contrastive_loss(v, t, jnp.float32(2.0), ONE_EACH, TileSizes(256, 1024))  # noqa: E731
        gradient = jax.jit(jax.value_and_grad(loss))
        return gradient.lower(rows, rows).compile().memory_analysis().temp_size_in_bytes

    # A few tiles, and two arrays like the texts. (A GPU's libraries take 32 MiB besides, whatever the batch.) The whole
    # matrix would be 256 MiB, and 4 GiB.
    for count in (8192, 32768):
        assert temporary_bytes(count) <= (32 << 20) + 4 * (256 * 1024 * 4) + 2 * (count * 64 * 4)


def test_unit_rows_have_unit_norm_and_zero_rows_finite_gradients():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0]], np.float32)
    np.testing.assert_allclose(unit_rows(rows)[:2], [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert np.isfinite(jax.jacobian(unit_rows)(rows)).all()
