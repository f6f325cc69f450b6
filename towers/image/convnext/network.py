"""The function that a ConvNeXt is: from images to embeddings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image import convolutions
from lit_precompute.towers.image.convnext.config import ConvNeXtConfig, block_name
from lit_precompute.towers.layers import GELUS, Weights, dense, in_parts, layer_norm, patches

# Of every LayerNorm but the last.
EPSILON = 1e-6
_IMAGES_AT_A_TIME = 4


def apply(
    config: ConvNeXtConfig, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    pooled = in_parts(lambda part: _pooled(config, weights, part), images, _IMAGES_AT_A_TIME)
    return layer_norm(parameters, "norm", pooled, config.last_epsilon) if config.pooling == "average" else pooled


def _pooled(config: ConvNeXtConfig, weights: Weights, images: jax.Array) -> jax.Array:
    """Returns float32 [n, width]: the mean over all positions after the last stage."""
    features = layer_norm(weights, "stem_norm", patches(weights, "stem", images.astype(config.compute_type)), EPSILON)
    for stage, depth in enumerate(config.depths):
        if stage:
            normed = layer_norm(weights, f"stage_{stage}/downsample_norm", features, EPSILON)
            features = patches(weights, f"stage_{stage}/downsample", normed)
        for block in range(depth):
            features += _block(config, weights, block_name(stage, block), features)
    return jnp.mean(features, axis=(1, 2), dtype=jnp.float32)


def _block(config: ConvNeXtConfig, weights: Weights, block: str, features: jax.Array) -> jax.Array:
    """Returns what a block adds."""
    kernel, bias = weights[f"{block}/depthwise/kernel"], weights[f"{block}/depthwise/bias"]
    mixed = convolutions.depthwise(features, kernel, bias)
    normed = layer_norm(weights, f"{block}/norm", mixed, EPSILON)
    hidden = GELUS["exact"](dense(weights, f"{block}/expand", normed))
    if config.response_norm:
        hidden = _response_norm(weights, f"{block}/response_norm", hidden)
    added = dense(weights, f"{block}/project", hidden)
    return added * weights[f"{block}/layer_scale"] if config.layer_scale else added


def _response_norm(weights: Weights, name: str, hidden: jax.Array) -> jax.Array:
    """Returns global response normalisation: channels compete by their norm over all positions."""
    values = hidden.astype(jnp.float32)
    size = jnp.sqrt(jnp.sum(values * values, axis=(1, 2), keepdims=True))
    share = size / (size.mean(axis=-1, keepdims=True) + EPSILON)
    scale, bias = (weights[f"{name}/{part}"].astype(jnp.float32) for part in ("scale", "bias"))
    return (values * (1 + scale * share) + bias).astype(hidden.dtype)
