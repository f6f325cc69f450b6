"""The layers that families share, against NumPy and SciPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from lit_precompute.towers import layers


def _draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(("size", "height", "width"), [(2, 6, 8), (2, 7, 5), (4, 11, 12)])
def test_patches_match_float64_numpy(size, height, width, has_bias):
    features, kernel, bias = _draw(2, height, width, 3), _draw(size, size, 3, 5), _draw(5)
    weights = {"stem/kernel": jnp.asarray(kernel)} | ({"stem/bias": jnp.asarray(bias)} if has_bias else {})
    expected = np.zeros((2, height // size, width // size, 5))
    for row, column in np.ndindex(*expected.shape[1:3]):
        piece = features[:, row * size :, column * size :][:, :size, :size].astype(np.float64)
        expected[:, row, column] = np.einsum("nyxi,yxio->no", piece, kernel) + bias * has_bias
    found = jax.jit(lambda features: layers.patches(weights, "stem", features))(features)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    tokens = layers.patch_tokens(weights, "stem", jnp.asarray(features))
    np.testing.assert_allclose(tokens, expected.reshape(2, -1, 5), atol=1e-5)


@pytest.mark.parametrize("offset", [0, 100])
def test_layer_norm_matches_float64_numpy(offset):
    """Also far from zero, where a difference of mean squares would have lost its digits."""
    tokens, scale, bias = _draw(3, 7, 192) + np.float32(offset), _draw(192), _draw(192)
    exact = tokens.astype(np.float64)
    centred = exact - exact.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * scale + bias
    weights = {"norm/scale": jnp.asarray(scale), "norm/bias": jnp.asarray(bias)}
    found = jax.jit(lambda tokens: layers.layer_norm(weights, "norm", tokens, 1e-6))(tokens)
    # An offset takes digits of the tokens themselves: 100 in float32 is known to 4e-6.
    np.testing.assert_allclose(found, expected, atol=2e-6 if offset == 0 else 1e-4)


def test_layer_norm_counts_in_float32_where_tokens_are_bfloat16():
    tokens = jnp.asarray(_draw(5, 768) + 20, jnp.bfloat16)
    exact = np.asarray(tokens, np.float64)
    centred = exact - exact.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    weights = {"norm/scale": jnp.ones(768, jnp.bfloat16), "norm/bias": jnp.zeros(768, jnp.bfloat16)}
    found = layers.layer_norm(weights, "norm", tokens, 1e-6)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exact", lambda x: x / 2 * (1 + scipy.special.erf(x / np.sqrt(2)))),
        ("tanh", lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
        ("quick", lambda x: x / (1 + np.exp(-1.702 * x))),
    ],
)
def test_gelus_match_float64_scipy(name, expected):
    x = np.linspace(-8, 8, 4001, dtype=np.float32)
    np.testing.assert_allclose(jax.jit(layers.GELUS[name])(x), expected(x.astype(np.float64)), atol=2e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 2e-5), (jnp.bfloat16, 0.02)])
@pytest.mark.parametrize("num_queries", [1, 7])
@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
def test_attention_matches_float64_numpy(num_queries, kind, tolerance):
    """With scores far from zero, where a power without its row's largest would overflow."""
    query, key, value = (
        jnp.asarray(scale * _draw(2, length, 3, 8), kind) for scale, length in ((60, num_queries), (1, 11), (1, 11))
    )
    exact = [np.asarray(part, np.float64) for part in (query, key, value)]
    scores = scipy.special.softmax(np.einsum("nqhw,nkhw->nhqk", *exact[:2]) / np.sqrt(8), axis=-1)
    found = jax.jit(layers.attention)(query, key, value)
    assert found.dtype == kind
    np.testing.assert_allclose(
        np.asarray(found, np.float64), np.einsum("nhqk,nkhw->nqhw", scores, exact[2]), atol=tolerance
    )


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_parts_compute_the_same_as_the_whole(count):
    images, kernel = _draw(count, 6, 6, 3), _draw(3, 7)
    network = lambda images: jnp.tanh(images.mean(axis=(1, 2)) @ kernel)  # noqa: E731
    found = jax.jit(lambda images: layers.in_parts(network, images, 4))(images)
    np.testing.assert_allclose(found, network(images), atol=1e-6)
