"""Heads against their definitions in float64, and dropout by its keys."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.dropout import drop, row_keys
from lit_precompute.towers.heads import (
    GatedHeadOptions,
    HeadOptions,
    LinearHeadOptions,
    MLPHeadOptions,
    NoHeadOptions,
    ResidualHeadOptions,
)
from lit_precompute.towers.heads.network import make_head
from lit_precompute.towers.options import OptionsError, read_options

INPUTS, OUTPUTS = 6, 5
HEADS = {
    "linear": LinearHeadOptions(),
    "mlp": MLPHeadOptions(depth=2, expansion=3, dropout=0.25),
    "residual": ResidualHeadOptions(depth=2, expansion=2, dropout=0.5),
    "gated": GatedHeadOptions(expansion=4, dropout=0.5),
}


def _head(options, **replaced):
    return make_head(
        options, **({"input_width": INPUTS, "output_width": OUTPUTS, "compute_type": "float32"} | replaced)
    )


def _parameters(head, scale=1.0):
    """Draws all parameters, also scales and biases, which a fresh head has at one and zero."""
    rng = np.random.default_rng(0)
    return {
        name: (scale * rng.standard_normal(shape)).astype(np.float32) for name, shape in head.parameter_shapes.items()
    }


def _vectors(count=7):
    return np.random.default_rng(1).standard_normal((count, INPUTS)).astype(np.float32)


def _dense(parameters, name, values):
    return values @ parameters[f"{name}/kernel"] + parameters[f"{name}/bias"]


def _norm(parameters, name, values):
    centred = values - values.mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return normed * parameters[f"{name}/scale"] + parameters[f"{name}/bias"]


def _gelu(values):
    return values * (1 + np.vectorize(math.erf)(values / math.sqrt(2))) / 2


def _linear(parameters, values):
    return values @ parameters["kernel"] + parameters["bias"]


def _mlp(parameters, values):
    hidden = _norm(parameters, "norm", values)
    for number in range(2):
        hidden = _gelu(_dense(parameters, f"hidden/{number}", hidden))
    return _dense(parameters, "out", hidden)


def _residual(parameters, values):
    for block in ("blocks/0", "blocks/1"):
        hidden = _gelu(_dense(parameters, f"{block}/in", _norm(parameters, f"{block}/norm", values)))
        values = values + _dense(parameters, f"{block}/out", hidden)
    return _dense(parameters, "out", _norm(parameters, "norm", values))


def _gated(parameters, values):
    normed = _norm(parameters, "norm", values)
    gate, value = (np.clip(_dense(parameters, name, normed), -1e3, 1e3) for name in ("gate", "value"))
    return _dense(parameters, "out", np.clip(gate, 0, 6) * value)


DEFINITIONS = {"linear": _linear, "mlp": _mlp, "residual": _residual, "gated": _gated}


def _in_float64(parameters):
    return {name: np.asarray(value, np.float64) for name, value in parameters.items()}


@pytest.mark.parametrize("kind", HEADS)
def test_matches_float64_numpy(kind):
    head = _head(HEADS[kind])
    parameters, vectors = _parameters(head), _vectors()
    expected = DEFINITIONS[kind](_in_float64(parameters), vectors.astype(np.float64))
    found = jax.jit(head.apply)(parameters, vectors)
    assert found.shape == (7, OUTPUTS) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())  # float32 sums of tens of products


@pytest.mark.parametrize("kind", HEADS)
def test_gradients_match_differences_of_float64_numpy(kind):
    head = _head(HEADS[kind])
    parameters, vectors = _parameters(head), _vectors()
    weights = np.random.default_rng(2).standard_normal((7, OUTPUTS))
    gradients = jax.jit(jax.grad(lambda p, v: jnp.sum(head.apply(p, v) * weights.astype(np.float32)), (0, 1)))(
        parameters, vectors
    )
    directions = {name: np.random.default_rng(3).standard_normal(value.shape) for name, value in parameters.items()}

    def value(step, name=None):
        moved = _in_float64(parameters)
        inputs = vectors.astype(np.float64)
        if name is None:
            inputs = inputs + step * np.random.default_rng(4).standard_normal(inputs.shape)
        else:
            moved[name] = moved[name] + step * directions[name]
        return np.sum(DEFINITIONS[kind](moved, inputs) * weights)

    for name in (*parameters, None):
        slope = (value(1e-6, name) - value(-1e-6, name)) / 2e-6
        gradient = gradients[1] if name is None else gradients[0][name]
        direction = np.random.default_rng(4).standard_normal((7, INPUTS)) if name is None else directions[name]
        size = np.linalg.norm(gradient) * np.linalg.norm(direction)
        np.testing.assert_allclose(np.sum(gradient * direction), slope, atol=1e-4 * size, err_msg=str(name))


def test_what_is_dropped_depends_on_the_own_key_alone():
    """Bit for bit, at any cut of the batch, and in any company."""
    values, keys = jnp.ones((12, 40)), row_keys(jax.random.key(5), 12)
    whole = np.asarray(drop(values, 0.3, keys, 1))
    assert set(np.unique(whole)) == {0, np.float32(1) / np.float32(0.7)}
    for size in (1, 5):
        pieces = [drop(values[at : at + size], 0.3, keys[at : at + size], 1) for at in range(0, 12, size)]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
    np.testing.assert_array_equal(np.asarray(drop(values, 0.3, keys[::-1], 1))[::-1], whole)
    for others in (drop(values, 0.3, keys, 2), drop(values, 0.3, row_keys(jax.random.key(6), 12), 1)):
        assert (np.asarray(others) != whole).any(axis=1).all()
    assert len(np.unique(whole, axis=0)) == 12


@pytest.mark.parametrize("kind", ["mlp", "residual", "gated"])
def test_a_head_drops_the_same_values_at_any_cut_of_the_batch(kind):
    head = _head(HEADS[kind])
    parameters, vectors, keys = _parameters(head), _vectors(8), row_keys(jax.random.key(5), 8)
    assert head.apply_in_training is not None
    run = jax.jit(head.apply_in_training)
    whole = np.asarray(run(parameters, vectors, keys))
    assert (np.abs(whole - np.asarray(jax.jit(head.apply)(parameters, vectors))) > 1e-3).any(axis=1).all()
    pieces = [run(parameters, vectors[at : at + 4], keys[at : at + 4]) for at in (0, 4)]
    # XLA may add in another order at another number of rows.
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5 * np.abs(whole).max())


def test_dropout_keeps_the_mean_of_hidden_values():
    """Of many rows that are alike, the mean with dropout is the result without it: a gated head is linear in them."""
    head = _head(GatedHeadOptions(expansion=2, dropout=0.4))
    parameters, vectors = _parameters(head), np.repeat(_vectors(1), 4000, axis=0)
    assert head.apply_in_training is not None
    found = np.asarray(jax.jit(head.apply_in_training)(parameters, vectors, row_keys(jax.random.key(0), 4000)))
    expected = np.asarray(head.apply(parameters, vectors))[0]
    error = found.std(axis=0) / math.sqrt(4000)
    assert (np.abs(found.mean(axis=0) - expected) < 4 * error).all()  # one in 16,000 at each of five numbers


def test_a_head_without_dropout_is_the_same_in_training():
    for options in (LinearHeadOptions(), MLPHeadOptions(), ResidualHeadOptions(dropout=0.0), GatedHeadOptions()):
        assert _head(options).apply_in_training is None


def test_parameter_counts_are_those_of_sail_and_fusemix():
    """SAIL's for DINOv2-L and a text encoder of 1,024: norms, two hidden layers of 8 times the width, 1,024 out."""
    sail = _head(GatedHeadOptions(), input_width=2048, output_width=1024).parameter_shapes
    assert sum(map(math.prod, sail.values())) == 2 * 2048 + 2 * (2048 * 16384 + 16384) + 16384 * 1024 + 1024
    fusemix = _head(ResidualHeadOptions(), input_width=1024, output_width=512).parameter_shapes
    block = 2 * 1024 + 2 * 1024 * 4096 + 4096 + 1024
    assert sum(map(math.prod, fusemix.values())) == 4 * block + 2 * 1024 + 1024 * 512 + 512


@pytest.mark.parametrize("kind", HEADS)
def test_parameters_are_drawn_with_their_shapes(kind):
    head = _head(HEADS[kind])
    drawn = jax.jit(head.initialise)(jax.random.key(0))
    assert {name: value.shape for name, value in drawn.items()} == head.parameter_shapes
    assert all((np.asarray(value) == 0).all() for name, value in drawn.items() if name.endswith("bias"))
    assert all((np.asarray(value) == 1).all() for name, value in drawn.items() if name.endswith("scale"))


@pytest.mark.parametrize("kind", ["mlp", "residual", "gated"])
def test_bfloat16_products_are_close(kind):
    parameters = _parameters(_head(HEADS[kind]), scale=0.5)
    exact, rounded = (
        np.asarray(jax.jit(_head(HEADS[kind], compute_type=each).apply)(parameters, _vectors()))
        for each in ("float32", "bfloat16")
    )
    assert rounded.dtype == np.float32
    cosines = (exact * rounded).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert (exact != rounded).any() and (cosines > 0.999).all()


def test_no_head_needs_equal_widths():
    np.testing.assert_array_equal(_head(NoHeadOptions(), output_width=INPUTS).apply({}, _vectors()), _vectors())
    with pytest.raises(ValueError, match="width 6 cannot be compared with 5"):
        _head(NoHeadOptions())


def test_options_are_checked():
    assert read_options(HeadOptions, {}) == LinearHeadOptions()
    assert read_options(HeadOptions, {"kind": "residual", "depth": 2}) == ResidualHeadOptions(depth=2)
    for options, words in [
        ({"kind": "mlp", "depth": 0}, r"head.depth must be in \[1, 64\], got 0"),
        ({"kind": "gated", "expansion": 65}, r"head.expansion must be in \[1, 64\], got 65"),
        ({"kind": "residual", "dropout": 1.0}, r"head.dropout must be in \[0, 1\), got 1.0"),
        ({"kind": "fusemix"}, "kind must be one of"),
    ]:
        with pytest.raises(OptionsError, match=words):
            read_options(HeadOptions, options)
