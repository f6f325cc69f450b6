"""Pooling against NumPy in float64, and attention against transformers' SigLIP (goldens)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lit_precompute.towers.text.pooling import make_pooling, pool
from tests.oracles import siglip_text as oracle

END = 1
TOKENS = np.array([[5, 7, END, 0, 0], [3, END, END, 9, END], [4, 4, 4, 4, 4]], np.int32)
REAL = np.array([[True, True, True, False, False], [True] * 5, [True, False, True, True, False]])
HIDDEN = np.random.default_rng(0).standard_normal((3, 5, 8)).astype(np.float32)


def make(kind: str, *, width=8, num_heads=2, mlp_width=12):
    return make_pooling(
        kind, width=width, num_heads=num_heads, mlp_width=mlp_width, compute_type="float32", rngs=nnx.Rngs(0)
    )


def apply(kind: str, hidden=HIDDEN, tokens=TOKENS, real=None, module=None):
    real = None if real is None else jnp.asarray(real)
    module = module or make(kind)
    return pool(kind, module, jnp.asarray(hidden), jnp.asarray(tokens), is_real=real, end_id=END)


@pytest.mark.parametrize("real", [None, REAL], ids=["all positions", "real tokens"])
def test_matches_float64_numpy(real):
    rows = HIDDEN.astype(np.float64)
    kept = [row if real is None else row[real[number]] for number, row in enumerate(rows)]
    expected = {
        "first": rows[:, 0],
        "last": rows[:, -1],
        "average": np.stack([row.mean(0) for row in kept]),
        "max": np.stack([row.max(0) for row in kept]),
        # The first end token; the last row has none, but a last real one.
        "end": rows[np.arange(3), [2, 1, 4 if real is None else 3]],
    }
    for kind, values in expected.items():
        np.testing.assert_allclose(apply(kind, real=real), values, atol=1e-6, err_msg=kind)


@pytest.mark.parametrize("kind", ["average", "max", "attention"])
def test_padding_changes_nothing(kind: str):
    """Larger vectors at padding would win a maximum and shift an average."""
    padded = np.where(REAL[..., None], HIDDEN, 100.0).astype(np.float32)
    np.testing.assert_array_equal(apply(kind, padded, real=REAL), apply(kind, HIDDEN, real=REAL))
    assert not np.allclose(apply(kind, padded), apply(kind, HIDDEN))


@pytest.mark.parametrize("kind", ["average", "max"])
def test_a_row_of_padding_alone_gives_zeros_and_finite_gradients(kind: str):
    real = np.zeros((3, 5), bool)
    values, gradients = jax.value_and_grad(lambda hidden: apply(kind, hidden, real=real).sum())(HIDDEN)
    assert values == 0
    assert not np.asarray(gradients).any()


def test_only_attention_has_parameters():
    for kind in ("first", "last", "average", "max", "end"):
        assert make(kind) is None
    # The probe, four matrices of the attention, a norm, two layers; all but the probe with biases.
    count = sum(values.size for values in jax.tree.leaves(nnx.state(make("attention"))))
    assert count == 8 + 4 * (8 * 8 + 8) + 2 * 8 + (8 * 12 + 12) + (12 * 8 + 8)


@pytest.mark.parametrize(("real", "golden"), [(False, "pooling"), (True, "pooling of real tokens")])
def test_attention_matches_transformers(real: bool, golden: str):
    width, heads, hidden_width = (
        oracle.POOLING[name] for name in ("hidden_size", "num_attention_heads", "intermediate_size")
    )
    pooling = make("attention", width=width, num_heads=heads, mlp_width=hidden_width)
    theirs = oracle.draw_file("pooling")
    split = (heads, width // heads)
    for part, kernel, bias in zip(
        (pooling.attention.query, pooling.attention.key, pooling.attention.value),
        np.split(theirs["attention.in_proj_weight"], 3),
        np.split(theirs["attention.in_proj_bias"], 3),
        strict=True,
    ):
        part.kernel[...], part.bias[...] = kernel.T.reshape(width, *split), bias.reshape(split)
    pooling.attention.out.kernel[...] = theirs["attention.out_proj.weight"].T.reshape(*split, width)
    pooling.attention.out.bias[...] = theirs["attention.out_proj.bias"]
    pooling.probe[...] = theirs["probe"]
    pooling.perceptron_norm.scale[...] = theirs["layernorm.weight"]
    pooling.perceptron_norm.bias[...] = theirs["layernorm.bias"]
    for layer, name in ((pooling.perceptron_in, "mlp.fc1"), (pooling.perceptron_out, "mlp.fc2")):
        layer.kernel[...], layer.bias[...] = theirs[f"{name}.weight"].T, theirs[f"{name}.bias"]
    hidden, which = oracle.draw_hidden()
    tokens = jnp.zeros(hidden.shape[:2], jnp.int32)
    found = apply("attention", hidden, tokens, which if real else None, pooling)
    with np.load(oracle.GOLDEN / "outputs.npz") as goldens:
        expected = goldens[golden]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
