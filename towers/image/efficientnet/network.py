"""The function that an EfficientNet-Lite is: from images to averaged features.

How it is computed: batch norm is folded into the kernels inside the compiled function, which costs too little to
measure; 1x1 layers are matrix products; depthwise layers are those of `convolutions`.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image import convolutions
from lit_precompute.towers.image.efficientnet.config import EfficientNetConfig, blocks
from lit_precompute.towers.layers import in_parts

_EPSILON = 1e-3
_IMAGES_AT_A_TIME = 2
# A layer's kernel and bias.
Folded = tuple[jax.Array, jax.Array]


def apply(
    config: EfficientNetConfig, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    # In one order, or the program would differ between processes and never be found in JAX's persistent cache.
    layers = sorted({name.rpartition("/")[0] for name in parameters})
    folded = {layer: _folded(parameters, layer, jnp.dtype(config.compute_type)) for layer in layers}
    return in_parts(lambda part: _features(config, folded, part), images, _IMAGES_AT_A_TIME)


def _folded(parameters: Parameters, layer: str, dtype: jnp.dtype) -> Folded:
    """Returns a layer's kernel and bias with its batch norm in them."""
    kernel, scale, bias, mean, variance = (
        parameters[f"{layer}/{field}"] for field in ("kernel", "scale", "bias", "mean", "variance")
    )
    scale *= jax.lax.rsqrt(variance + _EPSILON)
    return (kernel * scale).astype(dtype), (bias - mean * scale).astype(dtype)


def _features(config: EfficientNetConfig, layers: Mapping[str, Folded], images: jax.Array) -> jax.Array:
    images = images.astype(config.compute_type)
    features = _relu6(convolutions.of_few_channels(images, *layers["stem"], stride=2))
    for block in blocks(config):
        inputs = features
        if block.stage.expansion != 1:
            features = _relu6(_pointwise(features, *layers[f"{block.name}/expand"]))
        depthwise = layers[f"{block.name}/depthwise"]
        features = _relu6(convolutions.depthwise(features, *depthwise, stride=block.stride))
        features = _pointwise(features, *layers[f"{block.name}/project"])
        if block.stride == 1 and block.input_width == block.stage.width:
            features += inputs
    features = _relu6(_pointwise(features, *layers["head"]))
    return jnp.mean(features, axis=(1, 2), dtype=jnp.float32)


def _relu6(features: jax.Array) -> jax.Array:
    return jnp.clip(features, 0, 6)


def _pointwise(features: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    return features @ kernel + bias
