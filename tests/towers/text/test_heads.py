"""Heads against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lit_precompute.towers.text.heads import make_head

INPUTS = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)


def layers(head) -> dict[str, np.ndarray]:
    state = nnx.to_pure_dict(nnx.state(head))
    flat = jax.tree_util.tree_flatten_with_path(state)[0]
    return {"/".join(step.key for step in path): np.asarray(value, np.float64) for path, value in flat}


def gelu(values):
    return 0.5 * values * (1 + np.tanh(np.sqrt(2 / np.pi) * (values + 0.044715 * values**3)))


def test_a_linear_head_matches_float64_numpy():
    head = make_head("linear", 6, 4, compute_type="float32", rngs=nnx.Rngs(0))
    found = layers(head)
    assert found.keys() == {"kernel", "bias"}
    np.testing.assert_allclose(head(jnp.asarray(INPUTS)), INPUTS @ found["kernel"] + found["bias"], atol=1e-6)


def test_an_mlp_matches_float64_numpy():
    head = make_head("mlp", 6, 4, compute_type="float32", rngs=nnx.Rngs(0))
    found = layers(head)
    assert {name: value.shape for name, value in found.items()} == {
        "inner/kernel": (6, 24),
        "inner/bias": (24,),
        "outer/kernel": (24, 4),
        "outer/bias": (4,),
    }
    hidden = gelu(INPUTS @ found["inner/kernel"] + found["inner/bias"])
    expected = hidden @ found["outer/kernel"] + found["outer/bias"]
    np.testing.assert_allclose(head(jnp.asarray(INPUTS)), expected, atol=1e-5)


def test_no_head_needs_a_tower_as_wide_as_the_space():
    assert make_head("none", 6, 6, compute_type="float32", rngs=nnx.Rngs(0)) is None
    with pytest.raises(ValueError, match=r"the tower has 6, the image side 4; give image_side.head_width 6"):
        make_head("none", 6, 4, compute_type="float32", rngs=nnx.Rngs(0))
