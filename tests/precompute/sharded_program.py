"""Towers with their parameters on every device, and cut over the devices: what `test_sharded_parameters` compares.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.precompute.sharded_program
"""

import dataclasses

import jax
import numpy as np
from flax import nnx

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.towers.family import Entry
from lit_precompute.towers.flax_modules import flax_entry
from lit_precompute.towers.image import convnext, mixer, vit
from lit_precompute.towers.loading import untrained_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import find_tower, register, tower_names

_VIT = vit.config.ViTConfig(
    resolution=32, patch_size=8, width=128, depth=12, mlp_width=512, num_heads=4, activation="exact"
)
_MIXER = mixer.config.MixerConfig(
    resolution=32, pooling="average", patch_size=8, grid=4, width=128, depth=2, token_width=64, channel_width=512
)


class _Dense(nnx.Module):
    """Anyone's own module; its second layer runs in a loop."""

    def __init__(self, rngs):
        self.first = nnx.Linear(32 * 32 * 3, 128, rngs=rngs)
        self.second = nnx.Linear(128, 128, rngs=rngs)

    def __call__(self, images):
        hidden = self.first(images.reshape(len(images), -1))
        return jax.lax.fori_loop(0, 3, lambda step, hidden: jax.numpy.tanh(self.second(hidden)), hidden)


def _entries():
    preprocessing = Preprocessing(size=32)
    configs = {
        "vit": (vit.FAMILY, _VIT),
        "vit-map": (vit.FAMILY, dataclasses.replace(_VIT, depth=2, pooling="map", activation="swiglu")),
        "mixer": (mixer.FAMILY, _MIXER),
        "convnext": (convnext.FAMILY, dataclasses.replace(find_tower("convnext_tiny").config, depths=(1, 1, 1, 1))),
    }
    for name, (family, config) in configs.items():
        yield name, Entry(family=family, config=dataclasses.replace(config, resolution=32), preprocessing=preprocessing)
    yield "flax", flax_entry(lambda: _Dense(nnx.Rngs(0)), family="dense", options={}, preprocessing=preprocessing)


ENTRIES = dict(_entries())


def compare(name, compute_type, batch_size):
    """Returns the two embedders, after checking that they give the same bits, which are not all alike."""
    registered = f"test-sharded-{name}"
    if registered not in tower_names():
        register(registered, ENTRIES[name])
    tower = untrained_tower(ImageTowerOptions(name=registered, compute_type=compute_type))
    whole, cut = (Embedder(tower, batch_size=batch_size, sharded=sharded) for sharded in (False, True))
    batch = whole.take_batch()
    batch[:] = np.random.default_rng(0).integers(0, 256, batch.shape)
    expected, found = (np.asarray(embedder.start(batch)) for embedder in (whole, cut))
    assert np.isfinite(expected).all()
    assert len(np.unique(expected, axis=0)) == len(expected)
    np.testing.assert_array_equal(found, expected, strict=True)
    return whole, cut


def check_memory(whole, cut):
    """Checks that a device holds its share of the parameters, and gathers a few at a time."""
    num_devices = jax.local_device_count()
    sizes = [parameter.nbytes for parameter in whole.tower.parameters.values()]
    needed = cut.memory()
    assert needed.argument_size_in_bytes < 1.1 * sum(sizes) / num_devices + 2**16
    assert needed.argument_size_in_bytes + needed.temp_size_in_bytes < sum(sizes) * (1 / num_devices + 0.2)
    return needed


if __name__ == "__main__":
    check_memory(*compare("vit", "float32", 2 * jax.local_device_count()))
    print(jax.local_device_count(), "devices")
