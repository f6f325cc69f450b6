"""Dropout in training: the same rows drop the same values, however a step is computed.

That a resumed run drops the same values, too, is in test_frozen_towers.
"""

import collections
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.dropout import row_keys
from lit_precompute.towers.heads import ResidualHeadOptions
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.losses import SoftmaxOptions, make_loss
from lit_precompute.tune.losses.gradient_cache import CachedGradient
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.sides import Sides, TrainedParameters, make_sides
from lit_precompute.tune.training.dropout import training_encoder, training_inputs
from tests.towers.text.test_dropout import make_tower as make_text_tower
from tests.tune.small_runs import RECIPE, WIDTH

NUM_ROWS = 12
HEAD = ResidualHeadOptions(depth=1, expansion=2, dropout=0.5)
RECIPE_WITH_DROPOUT = dataclasses.replace(
    RECIPE, image_side=ImageSideOptions(head_width=8, head=HEAD), batch_size=NUM_ROWS, num_steps=6
)


def _sides() -> Sides:
    sides = make_sides(RECIPE_WITH_DROPOUT, width=WIDTH, vocabulary=Vocabulary(9, end_id=1), statistics=None)
    return sides._replace(text=sides.image)  # so that both drop out


def _step(sides, parameters, batch, *, micro_batch_size, seed=0, step=0):
    """Returns loss and gradients."""
    cached = CachedGradient(
        encode_image=training_encoder(sides.image),
        encode_text=training_encoder(sides.text),
        loss=make_loss(SoftmaxOptions(), tile_rows=16, image_is_trained=True),
        micro_batch_size=micro_batch_size,
    )
    run = lambda parameters, step, *batch: cached(  # noqa: E731 -- one expression
        parameters, *training_inputs(sides, *batch, seed=seed, step=step)
    )
    return jax.jit(run)(parameters, jnp.int32(step), *batch)


@pytest.fixture(scope="module")
def drawn():
    sides, rng = _sides(), np.random.default_rng(0)
    text, image = (jax.jit(sides.image.initialise)(jax.random.key(number)) for number in range(2))
    parameters = TrainedParameters(image=image, loss={"log_scale": jnp.float32(2)}, text=text)
    batch = [StoredVectors(rng.standard_normal((NUM_ROWS, WIDTH)).astype(np.float16), None) for _ in range(2)]
    return sides, parameters, batch


def test_micro_batches_drop_what_the_whole_batch_drops(drawn):
    """The loss and gradients of 12 rows at once, and of micro-batches of 5, 5 and 2."""
    loss, gradients = _step(*drawn, micro_batch_size=NUM_ROWS)
    found_loss, found = _step(*drawn, micro_batch_size=5)
    np.testing.assert_allclose(found_loss, loss, rtol=1e-6)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * float(jnp.abs(other).max()) + 1e-7)


def _text_sides(kind, rate=0.3) -> Sides:
    """A text tower that drops out within its blocks, and an image side that does not drop out."""
    sides = make_sides(RECIPE, width=WIDTH, vocabulary=Vocabulary(9, end_id=1), statistics=None)
    return sides._replace(text=make_text_tower(kind, rate=rate, output_width=WIDTH))


@pytest.mark.standard_promotion  # JAX's own attention needs it
@pytest.mark.parametrize("kind", ["vit", "bert", "t5"])
@pytest.mark.parametrize("is_locked", [False, True])
def test_text_towers_drop_the_same_in_micro_batches_and_in_both_passes(kind, is_locked):
    """Micro-batches of 5, 5 and 2, with and without locked blocks: loss, gradients, and embeddings of both passes."""
    sides, rng = _text_sides(kind), np.random.default_rng(0)
    text = jax.jit(sides.text.initialise)(jax.random.key(0))
    locked = {name: value for name, value in text.items() if is_locked and not name.startswith("head/")}
    parameters = TrainedParameters(
        image={},
        loss={"log_scale": jnp.float32(2)},
        text={name: value for name, value in text.items() if name not in locked},
    )
    images = StoredVectors(rng.standard_normal((NUM_ROWS, WIDTH)).astype(np.float16), None)
    tokens = rng.integers(2, 60, (NUM_ROWS, 9)).astype(np.int32)
    passes: list[dict[bytes, np.ndarray]] = []

    def note(rows, embeddings):
        for row, embedding in zip(rows, embeddings, strict=True):
            key = row.tobytes()
            free = next((seen for seen in passes if key not in seen), None)
            if free is None:
                passes.append(free := {})
            free[key] = np.array(embedding)

    def run(micro_batch_size):
        encode = training_encoder(sides.text)

        def encode_text(trained, inputs):
            embeddings = encode({**locked, **trained}, inputs)
            jax.debug.callback(note, inputs.rows, embeddings)
            return embeddings

        cached = CachedGradient(
            encode_image=training_encoder(sides.image),
            encode_text=encode_text,
            loss=make_loss(SoftmaxOptions(), tile_rows=16, image_is_trained=False),
            micro_batch_size=micro_batch_size,
        )
        step = jax.jit(
            lambda parameters, images, tokens: cached(
                parameters, *training_inputs(sides, images, tokens, seed=0, step=jnp.int32(0))
            )
        )
        found = step(parameters, images, tokens)
        jax.effects_barrier()
        return found

    (found_loss, found), both_passes = run(5), list(passes)
    assert [len(each) for each in both_passes] == [NUM_ROWS, NUM_ROWS]
    assert both_passes[0].keys() == both_passes[1].keys()
    first, second = (np.stack([each[key] for key in both_passes[0]]) for each in both_passes)
    # To within rounding: what watches them is a part of the programs. Another mask would change all of a row's numbers.
    np.testing.assert_allclose(second, first, atol=1e-5 * np.abs(first).max())
    loss, gradients = run(NUM_ROWS)
    np.testing.assert_allclose(found_loss, loss, rtol=1e-6)
    assert found.text.keys() == parameters.text.keys()
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * float(jnp.abs(other).max()) + 1e-7)
    undropped = jax.jit(make_text_tower(kind, rate=0.0, output_width=WIDTH).apply)(text, tokens)
    rows = np.stack([both_passes[0][row.tobytes()] for row in tokens])
    assert (np.abs(rows - undropped).max(axis=1) > 1e-2).all()


@pytest.mark.standard_promotion  # JAX's own attention needs it
@pytest.mark.parametrize("kind", ["vit", "bert", "t5"])
def test_both_forward_passes_of_a_text_tower_drop_the_same_values(kind):
    """A pass for the embeddings alone, and one that is propagated back, as the gradient cache runs them.

    To within rounding: XLA fuses the two programs differently. Other masks would change every number.
    """
    tower = make_text_tower(kind, rate=0.3, output_width=WIDTH, depth=1)
    parameters = jax.jit(tower.initialise)(jax.random.key(0))
    tokens = jnp.asarray(np.random.default_rng(0).integers(2, 60, (2, 5, 9)), jnp.int32)
    batches = tokens, row_keys(jax.random.key(3), 10).reshape(2, 5)

    def propagate(total, batch):
        embeddings, pull_back = jax.vjp(lambda each: tower.apply_in_training(each, *batch), parameters)
        return jax.tree.map(jnp.add, total, pull_back(jnp.cos(embeddings))[0]), embeddings

    first = jax.jit(lambda: jax.lax.map(lambda batch: tower.apply_in_training(parameters, *batch), batches))()
    _, second = jax.jit(lambda: jax.lax.scan(propagate, jax.tree.map(jnp.zeros_like, parameters), batches))()
    np.testing.assert_allclose(second, first, atol=1e-5 * np.abs(first).max())


def test_both_forward_passes_are_bitwise_equal(drawn):
    """Embeddings of each micro-batch in the first pass, and in the second, which propagates gradients."""
    sides, parameters, batch = drawn
    found = collections.defaultdict(list)

    def recording(name, side):
        def encode(parameters, rows, keys):
            embeddings = side.apply_in_training(parameters, rows, keys)
            note = lambda rows, embeddings: found[name, rows.tobytes()].append(embeddings.tobytes())  # noqa: E731
            jax.debug.callback(note, rows.numbers, embeddings)
            return embeddings

        return dataclasses.replace(side, apply_in_training=encode)

    recorded = Sides(*(recording(name, side) for name, side in zip(Sides._fields, sides, strict=True)))
    jax.block_until_ready(_step(recorded, parameters, batch, micro_batch_size=5))
    jax.effects_barrier()
    assert len(found) == 2 * 3  # of two sides, micro-batches of 5, 5 and 2
    for first, second in found.values():
        assert first == second


def test_steps_seeds_and_sides_drop_different_values(drawn):
    sides, _, batch = drawn
    keys = [
        jax.random.key_data(side.keys)
        for seed, step in ((0, 0), (0, 1), (1, 0))
        for side in training_inputs(sides, *batch, seed=seed, step=jnp.int32(step))
    ]
    assert len(np.unique(np.concatenate(keys), axis=0)) == 6 * NUM_ROWS


def test_a_side_without_dropout_is_given_no_keys():
    sides = make_sides(RECIPE, width=WIDTH, vocabulary=Vocabulary(9, end_id=1), statistics=None)
    inputs = object(), object()
    assert training_inputs(sides, *inputs, seed=0, step=jnp.int32(0)) == inputs
    assert training_encoder(sides.text) is sides.text.apply
