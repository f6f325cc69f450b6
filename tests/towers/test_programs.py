"""The programs of towers are the same in every process, so that JAX's persistent cache has them."""

import os
import subprocess
import sys

import pytest

# Prints a hash of each tower's program.
_PROGRAMS = """
import hashlib, sys
import jax
from lit_precompute.towers.registry import find_tower

for name in sys.argv[1:]:
    entry = find_tower(name)
    shapes = entry.family.parameter_shapes(entry.config)
    parameters = {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in shapes.items()}
    side = entry.config.resolution
    images = jax.ShapeDtypeStruct((2, side, side, 3), "float32")
    function = jax.jit(lambda parameters, images: entry.family.apply(entry.config, parameters, images))
    lowered = function.lower(parameters, images)
    print(name, hashlib.sha256(lowered.as_text().encode()).hexdigest())
"""
_TOWERS = ("vit_ti16", "mixer_b16", "bit_r50x1", "convnext_tiny", "efficientnet-lite0")


@pytest.mark.slow
def test_hashing_does_not_change_a_program():
    programs = [
        subprocess.run(
            [sys.executable, "-c", _PROGRAMS, *_TOWERS],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert len(programs[0].splitlines()) == len(_TOWERS)
    assert programs[0] == programs[1]
