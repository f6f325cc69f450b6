"""The function that an EfficientNet-Lite is: from pictures to averaged features.

How it is computed: batch norm is folded into the kernels inside the compiled function (3 million products a batch,
too few to measure); 1x1 layers are matrix products; depthwise layers as in `convolutions`: XLA's grouped convolution
is ten times slower on CPUs (24 against 250 pictures a second at 128 pixels on 2 cores).
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from precompute.families import convolutions
from precompute.families.efficientnet.config import EfficientNetConfig, blocks

_EPSILON = 1e-3


def apply(config: EfficientNetConfig, parameters: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
    """Returns float32 [n, head_width] for float32 images [n, h, w, 3]."""
    dtype = jnp.dtype(config.compute_type)

    def folded(layer: str) -> tuple[jax.Array, jax.Array]:
        field = lambda name: parameters[f"{layer}/{name}"]  # noqa: E731
        scale = field("scale") * jax.lax.rsqrt(field("variance") + _EPSILON)
        bias = field("bias") - field("mean") * scale
        return (field("kernel") * scale).astype(dtype), bias.astype(dtype)

    features = _relu6(_convolution(images.astype(dtype), *folded("stem"), stride=2))
    for block in blocks(config):
        inputs = features
        if block.stage.expansion != 1:
            features = _relu6(_pointwise(features, *folded(f"{block.name}/expand")))
        features = _relu6(convolutions.depthwise(features, *folded(f"{block.name}/depthwise"), stride=block.stride))
        features = _pointwise(features, *folded(f"{block.name}/project"))
        if block.stride == 1 and block.input_width == block.stage.width:
            features += inputs
    features = _relu6(_pointwise(features, *folded("head")))
    return jnp.mean(features, axis=(1, 2), dtype=jnp.float32)


def _relu6(features: jax.Array) -> jax.Array:
    return jnp.clip(features, 0, 6)


def _pointwise(features: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    return features @ kernel + bias


def _convolution(images: jax.Array, kernel: jax.Array, bias: jax.Array, *, stride: int) -> jax.Array:
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, (stride, stride), "SAME", dimension_numbers=dimensions) + bias
