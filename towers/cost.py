"""What a tower computes for one image: counted by XLA from its program, without weights, compilation or device.

Promises: the same figure on every machine, since the program is always that for CPUs. A multiply-add is two operations,
as in the paper's Table 4; additions, comparisons and the like are one each, which is about 1 % more in a Vision
Transformer. Exponentials, roots and other transcendental functions are left out. What a network skips is not counted:
after the last block's attention a Vision Transformer computes only the tokens that are pooled.

Not here: a user's tower that loops (`jax.lax.map`, `scan`) over parts of an image is counted for one turn of its loop.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from lit_precompute.towers.family import Family, TowerConfig


def count_flops(family: Family[Any], config: TowerConfig) -> int:
    """Returns the floating-point operations for one image at the configuration's resolution, in float32.

    Takes 0.3 to 2 seconds of a core: XLA's program is made, but not compiled.
    """
    tower = family.tower(dataclasses.replace(config, compute_type="float32"))
    parameters = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in tower.parameter_shapes.items()}
    image = jax.ShapeDtypeStruct((1, config.resolution, config.resolution, 3), jnp.float32)
    lowered = jax.jit(tower.apply).trace(parameters, image).lower(lowering_platforms=("cpu",))
    found: Any = lowered.cost_analysis()
    return round(found["flops"])
