"""Cached gradients against plain differentiation of the whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.tune.losses import SoftmaxOptions, make_loss
from lit_precompute.tune.losses.gradient_cache import CachedGradient
from lit_precompute.tune.losses.loss import ONE_EACH, Loss
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model.sides import TrainedParameters

WIDTH, LENGTH, VOCABULARY = 12, 5, 40


def _encode_text(parameters, tokens):
    hidden = jnp.tanh(parameters["embedding"][tokens].mean(axis=1) @ parameters["kernel"])
    return hidden @ parameters["head"]


def _encode_image(parameters, embeddings):
    return jnp.tanh(embeddings @ parameters["head"]) if parameters else embeddings


def _cached(micro_batch_size, *, image_head, tile_rows=16, encode_text=_encode_text, encode_image=_encode_image):
    return CachedGradient(
        encode_image=encode_image,
        encode_text=encode_text,
        loss=make_loss(SoftmaxOptions(), tile_rows=tile_rows, image_is_trained=image_head),
        micro_batch_size=micro_batch_size,
    )


def _parameters(image_head):
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)  # noqa: E731  # one line, used five times
    text = {"embedding": draw(VOCABULARY, 8), "kernel": draw(8, 16), "head": draw(16, WIDTH)}
    image = {"head": draw(WIDTH, WIDTH)} if image_head else {}
    return TrainedParameters(image=image, loss={"log_scale": jnp.float32(2.3)}, text=text)


def _batch(count):
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, VOCABULARY, (count, LENGTH), dtype=np.int32)
    return rng.standard_normal((count, WIDTH)).astype(np.float32), tokens


def _naive_loss(parameters, embeddings, tokens):
    """The definition: two cross-entropies over the whole matrix, left to automatic differentiation."""
    images = unit_rows(_encode_image(parameters.image, embeddings))
    texts = unit_rows(_encode_text(parameters.text, tokens))
    logits = jnp.exp(parameters.loss["log_scale"]) * texts @ images.T
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
    parameters, batch = _parameters(image_head), _batch(50)
    loss, gradients = jax.jit(_cached(micro_batch_size, image_head=image_head))(parameters, *batch)
    expected_loss, expected = jax.value_and_grad(_naive_loss)(parameters, *batch)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    _assert_close(gradients, expected, 1e-5)


@pytest.mark.parametrize("micro_batch_size", [7, 50])
def test_takes_any_loss_and_any_tree_of_inputs(micro_batch_size):
    """A loss with two parameters, and images as a pair of arrays."""

    def value(parameters, images, texts, pairs):
        assert pairs == ONE_EACH
        logits = parameters["scale"] * jnp.sum(images * texts, axis=1) + parameters["bias"]
        return -jnp.mean(jax.nn.log_sigmoid(logits))

    loss = Loss(initialise=dict, value=value, scale=lambda parameters: parameters["scale"])
    encode_image = lambda parameters, pair: _encode_image(parameters, pair[0] * pair[1][:, None])  # noqa: E731
    cached = CachedGradient(
        encode_image=encode_image, encode_text=_encode_text, loss=loss, micro_batch_size=micro_batch_size
    )
    drawn, (embeddings, tokens) = _parameters(True), _batch(50)
    parameters = drawn._replace(loss={"scale": jnp.float32(3.0), "bias": jnp.float32(-1.0)})
    pair = (embeddings, np.linspace(0.5, 2, 50, dtype=np.float32))

    def plain(parameters):
        images = unit_rows(encode_image(parameters.image, pair))
        return value(parameters.loss, images, unit_rows(_encode_text(parameters.text, tokens)), ONE_EACH)

    found, gradients = jax.jit(cached)(parameters, pair, tokens)
    expected_loss, expected = jax.value_and_grad(plain)(parameters)
    np.testing.assert_allclose(found, expected_loss, rtol=1e-6)
    _assert_close(gradients, expected, 1e-5)


@pytest.mark.parametrize("micro_batch_size", [5, 20])
def test_a_locked_side_runs_once_and_a_trained_one_twice_in_micro_batches(micro_batch_size):
    rows = {"image": [], "text": []}

    def counting(name, encode):
        def run(parameters, inputs):
            jax.debug.callback(lambda: rows[name].append(len(inputs)))
            return encode(parameters, inputs)

        return run

    cached = _cached(
        micro_batch_size,
        image_head=False,
        encode_text=counting("text", _encode_text),
        encode_image=counting("image", _encode_image),
    )
    jax.block_until_ready(jax.jit(cached)(_parameters(False), *_batch(20)))
    jax.effects_barrier()
    num_micro_batches = 20 // micro_batch_size
    assert len(rows["image"]) == num_micro_batches
    assert len(rows["text"]) == (1 if num_micro_batches == 1 else 2 * num_micro_batches)


@pytest.mark.parametrize("side", ["text", "image"])
def test_activations_of_one_micro_batch_are_in_memory_at_once(side):
    """Four times the batch takes far less than four times the temporary memory, whichever side is large."""
    parameters = _parameters(True)
    # Activations are by far the largest part: 400 copies of the tokens, or of the embeddings.
    encoders = {
        "text": {"encode_text": lambda p, t: _encode_text(p, jnp.repeat(t, 400, axis=1))},
        "image": {"encode_image": lambda p, e: _encode_image(p, jnp.tanh(jnp.repeat(e[:, None], 400, axis=1))).mean(1)},
    }

    def temporary_bytes(count):
        cached = _cached(64, image_head=True, tile_rows=64, **encoders[side])
        return jax.jit(cached).lower(parameters, *_batch(count)).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(2048) < 1.5 * temporary_bytes(512)
