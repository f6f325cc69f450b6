"""The function that a Mixer is: from images to embeddings.

Every layer is a matrix product; GELU is in its tanh form, as in JAX's models, or exact, as timm computes the same
weights.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image.mixer.config import MixerConfig
from lit_precompute.towers.layers import Weights, images_at_a_time, in_parts, layer_norm, mlp, patch_tokens

_EPSILON = 1e-6


def apply(
    config: MixerConfig, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    size = images_at_a_time(config.grid**2)
    return in_parts(lambda part: _embed(config, weights, part), images, size)


def _embed(config: MixerConfig, weights: Weights, images: jax.Array) -> jax.Array:
    tokens = patch_tokens(weights, "stem", images.astype(config.compute_type))
    for number in range(config.depth):
        tokens = _block(config, weights, f"MixerBlock_{number}", tokens)
    return layer_norm(weights, "pre_head_layer_norm", tokens, _EPSILON).mean(axis=1, dtype=jnp.float32)


def _block(config: MixerConfig, weights: Weights, block: str, tokens: jax.Array) -> jax.Array:
    channels = layer_norm(weights, f"{block}/LayerNorm_0", tokens, _EPSILON).swapaxes(1, 2)
    tokens += mlp(weights, f"{block}/token_mixing", channels, config.activation).swapaxes(1, 2)
    normed = layer_norm(weights, f"{block}/LayerNorm_1", tokens, _EPSILON)
    return tokens + mlp(weights, f"{block}/channel_mixing", normed, config.activation)
