"""The function that a Vision Transformer of DINOv3 is: from images to embeddings."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image.attention import Turn, attend, turn
from lit_precompute.towers.image.dinov3.config import DINOv3Config
from lit_precompute.towers.image.dinov3.positions import angles
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.layers import (
    Weights,
    gated_mlp,
    images_at_a_time,
    in_parts,
    layer_norm,
    mlp,
    patch_tokens,
)


def apply(
    config: DINOv3Config, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    size = images_at_a_time((images.shape[1] // config.patch_size) ** 2)
    return in_parts(lambda part: _embed(config, weights, part), images, size)


def _embed(config: DINOv3Config, weights: Weights, images: jax.Array) -> jax.Array:
    patches = patch_tokens(weights, "embedding", images.astype(config.compute_type))
    others = jnp.concatenate([weights["cls"], weights["registers"]], axis=1)
    tokens = jnp.concatenate([jnp.broadcast_to(others, (len(patches), *others.shape[1:])), patches], axis=1)
    grid = images.shape[1] // config.patch_size
    by_position = functools.partial(turn, angles=angles(grid, config.head_width, config.rope_base))
    for number in range(config.depth - 1):
        tokens = _block(config, weights, block_name(number), tokens, by_position)
    # After the last block's attention only the rows that are pooled are computed.
    last = block_name(config.depth - 1)
    tokens = _block(config, weights, last, tokens, by_position, only_first=config.pooling == "class_token")
    return _pool(config, layer_norm(weights, "Transformer/encoder_norm", tokens, config.norm_epsilon))


def _block(
    config: DINOv3Config,
    weights: Weights,
    block: str,
    tokens: jax.Array,
    by_position: Turn,
    *,
    only_first: bool = False,
) -> jax.Array:
    """Returns [n, rows, width]: all tokens, or the class token, which attend to all of them."""
    rows = slice(1) if only_first else slice(None)
    normed = layer_norm(weights, f"{block}/LayerNorm_0", tokens, config.norm_epsilon)
    added = attend(
        weights,
        f"{block}/{ATTENTION}",
        normed[:, rows],
        normed,
        turn_queries=None if only_first else by_position,  # the class token has no position
        turn_keys=by_position,
    )
    tokens = tokens[:, rows] + added * weights[f"{block}/LayerScale_0"]
    normed = layer_norm(weights, f"{block}/LayerNorm_1", tokens, config.norm_epsilon)
    name = f"{block}/MlpBlock_0"
    added = gated_mlp(weights, name, normed) if config.gated_mlp else mlp(weights, name, normed, "exact")
    return tokens + added * weights[f"{block}/LayerScale_1"]


def _pool(config: DINOv3Config, tokens: jax.Array) -> jax.Array:
    """Returns float32 [n, output width]."""
    class_token, patches = tokens[:, 0].astype(jnp.float32), tokens[:, 1 + config.num_registers :]
    if config.pooling == "class_token":
        return class_token
    average = patches.mean(axis=1, dtype=jnp.float32)
    return average if config.pooling == "average" else jnp.concatenate([class_token, average], axis=1)
