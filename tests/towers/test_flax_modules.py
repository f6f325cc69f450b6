"""Modules of others as towers: NNX and Linen against the modules' own calls, from files, along the whole command."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import linen, nnx

from lit_precompute.towers.flax_modules import flax_entry
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import register, tower_names
from lit_precompute.towers.weights.errors import WeightsError

SIDE = 16


class Nnx(nnx.Module):
    """What people write: convolution, batch norm, dropout, layers in a list."""

    def __init__(self, rngs):
        self.convolution = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])

    def __call__(self, images):
        features = self.dropout(self.norm(self.convolution(images))).mean((1, 2))
        for layer in self.layers:
            features = jnp.tanh(layer(features))
        return features


class Linen(linen.Module):
    """The same in Linen, but for the layers."""

    @linen.compact
    def __call__(self, images):
        features = linen.BatchNorm(use_running_average=True)(linen.Conv(8, (3, 3))(images))
        return linen.Dense(5)(features.mean((1, 2)))


def _nnx_arrays(module):
    """Returns an NNX module's arrays by name, as a user would save them."""
    state = nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngState)))
    flat = flax.traverse_util.flatten_dict(state)
    return {"/".join(map(str, path)): np.asarray(value) for path, value in flat.items()}


def _registered(name, entry):
    if name not in tower_names():
        register(name, entry)
    return name


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32)


def test_an_nnx_module_computes_the_same_as_a_tower(tmp_path, images):
    module = Nnx(nnx.Rngs(3))
    module.norm.mean[...] = jnp.linspace(-1, 1, 8)  # as training leaves them
    module.norm.var[...] = jnp.linspace(0.5, 2, 8)
    arrays = _nnx_arrays(module)
    np.savez(tmp_path / "weights.npz", **arrays)
    entry = flax_entry(lambda: Nnx(nnx.Rngs(0)), family="test-nnx", preprocessing=Preprocessing(size=SIDE))
    tower = load_tower(_registered("test-nnx", entry), str(tmp_path / "weights.npz"))
    module.eval()
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images))
    np.testing.assert_allclose(found, np.asarray(module(images)), rtol=1e-5, atol=1e-6)
    assert tower.output_width == 8
    assert tower.num_parameters == sum(value.size for name, value in arrays.items() if "mean" not in name) - 8
    # Another trace, other weights: nothing of the first is left in it.
    zeros = {name: jnp.zeros(value.shape) for name, value in tower.parameters.items()}
    again = np.asarray(tower.apply(zeros, jnp.asarray(images)))
    np.testing.assert_array_equal(again, np.zeros((3, 8)))


def test_a_linen_module_computes_the_same_as_a_tower(tmp_path, images):
    module = Linen()
    variables = module.init(jax.random.key(1), images)
    flat = {name: np.asarray(value) for name, value in flax.traverse_util.flatten_dict(variables, sep="/").items()}
    safetensors.numpy.save_file(flat, tmp_path / "weights.safetensors")
    entry = flax_entry(module, family="test-linen", preprocessing=Preprocessing(size=SIDE), options={"depth": 1})
    tower = load_tower(_registered("test-linen", entry), str(tmp_path / "weights.safetensors"))
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images))
    np.testing.assert_allclose(found, np.asarray(module.apply(variables, images)), rtol=1e-5, atol=1e-6)
    assert tower.architecture["options"] == {"depth": 1}
    half = load_tower("test-linen", str(tmp_path / "weights.safetensors"), compute_type="bfloat16")
    rough = np.asarray(jax.jit(half.apply)(dict(half.parameters), images))
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - found).max() < 0.05 * np.abs(found).max()
    assert half.fingerprint() != tower.fingerprint()


def test_a_file_that_lacks_a_parameter_is_refused(tmp_path):
    arrays = _nnx_arrays(Nnx(nnx.Rngs(3)))
    del arrays["layers/1/kernel"]
    np.savez(tmp_path / "weights.npz", **arrays)
    entry = flax_entry(lambda: Nnx(nnx.Rngs(0)), family="test-nnx", preprocessing=Preprocessing(size=SIDE))
    with pytest.raises(WeightsError, match=r"missing:\n  layers/1/kernel \(8, 8\)"):
        load_tower(_registered("test-nnx", entry), str(tmp_path / "weights.npz"))


def test_a_module_without_embeddings_is_refused_when_it_is_registered():
    with pytest.raises(ValueError, match=r"must give \[n, width\] for n images, got \[2, 16, 16, 8\] for 2"):
        flax_entry(linen.Conv(8, (3, 3)), family="maps", preprocessing=Preprocessing(size=SIDE))
