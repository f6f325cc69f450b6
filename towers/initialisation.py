"""Parameters for training from a random start, where a family has no initialiser of its own.

Promises: kernels preserve the variance of their inputs (LeCun's normal); norms start as the identity, class tokens and
biases at zero, positions, registers and pooling probes at unit length, layer scales at 1e-6, as in ConvNeXt. Each
parameter is drawn by its own name, so that adding one changes no other.

Source: LeCun et al., Efficient BackProp (1998); big_vision, models/vit.py (positions); arXiv:2201.03545 (layer scale).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

_LAYER_SCALE = 1e-6
_ONES, _ZEROS = ("scale", "variance", "var"), ("bias", "mean", "cls")
_UNIT_LENGTH = ("pos_embedding", "registers", "probe")


def initialise(shapes: Mapping[str, tuple[int, ...]], key: jax.Array) -> dict[str, Float32[Array, "..."]]:
    """Returns parameters of these shapes, by name."""
    return {
        name: _draw(name, shape, jax.random.fold_in(key, zlib.crc32(name.encode()))) for name, shape in shapes.items()
    }


def _draw(name: str, shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    leaf = name.rpartition("/")[2]
    if leaf in _ONES:
        return jnp.ones(shape)
    if leaf in _ZEROS:
        return jnp.zeros(shape)
    if leaf.lower().startswith(("layerscale", "layer_scale")):
        return jnp.full(shape, _LAYER_SCALE)
    deviation = shape[-1] ** -0.5 if leaf in _UNIT_LENGTH else _fan_in(name, shape) ** -0.5
    return deviation * jax.random.normal(key, shape)


def _fan_in(name: str, shape: tuple[int, ...]) -> int:
    """Returns how many inputs each output of a kernel sums."""
    layer = name.split("/")[-2] if "/" in name else ""
    if layer in ("query", "key", "value"):
        return shape[0]  # [width, heads, head width]
    if layer == "depthwise":
        return shape[0] * shape[1]  # [height, width, channels]
    return math.prod(shape[:-1])
