"""Cached gradients against plain differentiation of the whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.tune.losses.gradient_cache import CachedGradient
from lit_precompute.tune.losses.softmax import unit_rows

WIDTH, LENGTH, VOCABULARY = 12, 5, 40


def _encode_text(parameters, tokens):
    hidden = jnp.tanh(parameters["embedding"][tokens].mean(axis=1) @ parameters["kernel"])
    return hidden @ parameters["head"]


def _encode_image(parameters, vectors):
    return vectors @ parameters["head"] if parameters else vectors


def _parameters(image_head):
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)  # noqa: E731  # one line, used five times
    text = {"embedding": draw(VOCABULARY, 8), "kernel": draw(8, 16), "head": draw(16, WIDTH)}
    return {"text": text, "image": {"head": draw(WIDTH, WIDTH)} if image_head else {}, "log_scale": jnp.float32(2.3)}


def _batch(count):
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, VOCABULARY, (count, LENGTH), dtype=np.int32)
    return tokens, rng.standard_normal((count, WIDTH)).astype(np.float32)


def _naive_loss(parameters, tokens, vectors):
    """The definition: two cross-entropies over the whole matrix, left to automatic differentiation."""
    images = unit_rows(_encode_image(parameters["image"], vectors))
    texts = unit_rows(_encode_text(parameters["text"], tokens))
    logits = jnp.exp(parameters["log_scale"]) * texts @ images.T
    each = [jnp.diag(jax.nn.log_softmax(logits, axis)).mean() for axis in (0, 1)]
    return -(each[0] + each[1]) / 2


def _assert_close(found, expected, tolerance):
    jax.tree.map(
        lambda got, want: np.testing.assert_allclose(got, want, atol=tolerance * float(jnp.abs(want).max())),
        found,
        expected,
    )


@pytest.mark.parametrize("image_head", [False, True])
@pytest.mark.parametrize("micro_batch_size", [1, 16, 30, 50, 51, 100])
def test_equals_plain_gradients_of_the_whole_batch(image_head, micro_batch_size):
    parameters, (tokens, vectors) = _parameters(image_head), _batch(50)
    cached = CachedGradient(
        encode_text=_encode_text, encode_image=_encode_image, micro_batch_size=micro_batch_size, tile_rows=16
    )
    loss, gradients = jax.jit(cached)(parameters, tokens, vectors)
    expected_loss, expected = jax.value_and_grad(_naive_loss)(parameters, tokens, vectors)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    _assert_close(gradients, expected, 1e-5)


def test_one_micro_batch_encodes_texts_once():
    calls = []

    def counting(parameters, tokens):
        calls.append(len(tokens))
        return _encode_text(parameters, tokens)

    tokens, vectors = _batch(20)
    CachedGradient(encode_text=counting, encode_image=_encode_image, micro_batch_size=20)(
        _parameters(False), tokens, vectors
    )
    assert calls == [20]


def test_activations_of_one_micro_batch_are_in_memory_at_once():
    """The temporary memory of a batch four times as large stays far below four times."""
    parameters = _parameters(False)

    def temporary_bytes(count):
        cached = CachedGradient(
            encode_text=lambda p, t: _encode_text(p, jnp.repeat(t, 400, axis=1)),  # makes activations the largest part
            encode_image=_encode_image,
            micro_batch_size=64,
            tile_rows=64,
        )
        tokens, vectors = _batch(count)
        return jax.jit(cached).lower(parameters, tokens, vectors).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(2048) < 1.5 * temporary_bytes(512)
