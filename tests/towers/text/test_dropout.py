"""Dropout within text towers: at the places of transformers' BERT and T5 (goldens) and of big_vision's text ViT."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers import dropout
from lit_precompute.towers.text import BertTextOptions, T5TextOptions, ViTTextOptions, make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary
from tests.oracles import dropout as oracle
from tests.towers.text.bert import making as bert
from tests.towers.text.t5 import making as t5

pytestmark = pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it

SIZES = {"width": 32, "depth": 2, "num_heads": 2, "mlp_width": 48}
OPTIONS = {
    "vit": ViTTextOptions(**SIZES),
    "bert": BertTextOptions(**SIZES, max_positions=16),
    "t5": T5TextOptions(**SIZES, head_width=8),
}
NUM_ROWS = 6
TOKENS = jnp.asarray(np.random.default_rng(0).integers(2, 60, (NUM_ROWS, 9)), jnp.int32)


def make_tower(kind, *, rate, compute_type="float32", output_width=16, **changes):
    options = dataclasses.replace(OPTIONS[kind], dropout=rate, **changes)
    vocabulary = Vocabulary(60, end_id=1, pad_id=None if kind == "vit" else 0)
    return make_text_tower(
        options, vocabulary=vocabulary, max_tokens=9, output_width=output_width, compute_type=compute_type
    )


def _keys(num_rows=NUM_ROWS, seed=0):
    return dropout.row_keys(jax.random.key(seed), num_rows)


def _made(file):
    """Returns one of the oracle's towers, its parameters and its tokens."""
    length = oracle.LENGTHS[file]
    options = {"pooling": "average", "dropout": oracle.RATE}
    if file in oracle.BERT_FILES:
        tower = bert.tower_of(file, max_tokens=length, **options)
        return tower, tower.read_parameters(bert.oracle.draw_file(file), file), bert.oracle.draw_tokens(file, length)
    tower = t5.file_tower(file, **options)
    return tower, t5.file_parameters(tower, file), t5.oracle.draw_tokens(file, length)


@pytest.mark.parametrize("file", oracle.LENGTHS)
def test_drops_what_transformers_drops(file, monkeypatch):
    """With the same masks at the same places, the embeddings are equal."""
    shapes = []

    def drop(values, rate, keys, layer):
        shapes.append(values.shape)
        assert (rate, layer) == (oracle.RATE, len(shapes))
        return jnp.where(oracle.draw_mask(layer, values.shape), values / (1 - rate), 0)

    tower, parameters, tokens = _made(file)
    with monkeypatch.context() as patch:
        patch.setattr(dropout, "drop", drop)
        assert tower.apply_in_training is not None
        found = np.asarray(jax.jit(tower.apply_in_training)(parameters, jnp.asarray(tokens), _keys(len(tokens))))
    expected, expected_shapes = oracle.read(file)
    assert shapes == expected_shapes
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    without = np.asarray(jax.jit(tower.apply)(parameters, jnp.asarray(tokens)))
    assert np.abs(without - expected).max() > 0.02 * np.abs(expected).max()


def test_the_text_vit_drops_where_big_vision_does(monkeypatch):
    """In each block what is added after attention, the perceptron's hidden layer, and what is added after it."""
    shapes = []
    monkeypatch.setattr(dropout, "drop", lambda values, *_: (shapes.append(values.shape), values)[1])
    tower = make_tower("vit", rate=0.1, pooling="average")
    parameters = tower.initialise(jax.random.key(0))
    tower.apply_in_training(parameters, TOKENS, _keys())
    assert shapes == 2 * [(6, 9, 32), (6, 9, 48), (6, 9, 32)]


@pytest.mark.parametrize("kind", OPTIONS)
def test_rate_0_and_evaluation_are_the_same_program_as_ever(kind):
    without, with_dropout = make_tower(kind, rate=0.0), make_tower(kind, rate=0.1)
    assert without.apply_in_training is None and with_dropout.apply_in_training is not None
    parameters = without.initialise(jax.random.key(0))
    drawn = with_dropout.initialise(jax.random.key(0))
    assert all((drawn[name] == value).all() for name, value in parameters.items())
    programs = [jax.jit(tower.apply).lower(parameters, TOKENS).as_text() for tower in (without, with_dropout)]
    assert programs[0] == programs[1]
    assert "rng" not in programs[0] and "threefry" not in programs[0]


@pytest.mark.parametrize("compute_type", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_rate_that_drops_nothing_gives_the_same_embeddings(kind, compute_type):
    """1 - 1e-9 is 1 in float32: the layers as training computes them, without their noise."""
    tower = make_tower(kind, rate=1e-9, compute_type=compute_type)
    parameters, tokens = tower.initialise(jax.random.key(0)), TOKENS.at[:, 6:].set(0)
    expected = np.asarray(jax.jit(tower.apply)(parameters, tokens))
    found = np.asarray(jax.jit(tower.apply_in_training)(parameters, tokens, _keys()))
    tolerance = 1e-5 if compute_type == "float32" else 2e-2
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_row_depends_on_its_own_key_alone(kind):
    tower = make_tower(kind, rate=0.3)
    parameters, apply = tower.initialise(jax.random.key(0)), jax.jit(tower.apply_in_training)
    whole, again = apply(parameters, TOKENS, _keys()), apply(parameters, TOKENS, _keys())
    np.testing.assert_array_equal(whole, again)
    np.testing.assert_allclose(apply(parameters, TOKENS[2:4], _keys()[2:4]), whole[2:4], atol=1e-5)
    other = apply(parameters, TOKENS, _keys().at[3].set(jax.random.key(9)))
    is_changed = np.abs(other - whole).max(axis=1) > 1e-3
    np.testing.assert_array_equal(is_changed, np.arange(len(TOKENS)) == 3)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=rf"text_tower\.dropout must be in \[0, 1\), got {rate}"):
        ViTTextOptions(dropout=rate)
