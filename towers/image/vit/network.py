"""The function that a Vision Transformer is: from images to embeddings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image.attention import attend
from lit_precompute.towers.image.vit.config import CLASS_TOKEN_AND_AVERAGE, ViTConfig
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.layers import (
    Weights,
    dense,
    gated_mlp,
    images_at_a_time,
    in_parts,
    layer_norm,
    mlp,
    patch_tokens,
)


def apply(
    config: ViTConfig, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    size = images_at_a_time(images.shape[1] * images.shape[2] // config.patch_size**2)
    return in_parts(lambda part: _embed(config, weights, part), images, size)


def _embed(config: ViTConfig, weights: Weights, images: jax.Array) -> jax.Array:
    patches = patch_tokens(weights, "embedding", images.astype(config.compute_type))
    tokens = _tokens(config, weights, patches)
    if config.pre_norm:
        tokens = _norm(config, weights, "Transformer/pre_norm", tokens)
    for number in range(config.depth - 1):
        tokens = _block(config, weights, block_name(number), tokens, slice(None))
    # After the last block's attention only the rows that are pooled are computed.
    pooled = slice(None) if config.pooling in ("average", "map", CLASS_TOKEN_AND_AVERAGE) else slice(1)
    tokens = _block(config, weights, block_name(config.depth - 1), tokens, pooled)
    tokens = _norm(config, weights, "Transformer/encoder_norm", tokens)
    return _pool(config, weights, tokens).astype(jnp.float32)


def _tokens(config: ViTConfig, weights: Weights, patches: jax.Array) -> jax.Array:
    """Returns [n, length, width]: class token, registers and patches; registers have no positions."""
    positions, count = weights["pos_embedding"], len(patches)
    rows = [patches + positions[:, int(config.class_token) :]]
    if config.num_registers:
        rows.insert(0, jnp.broadcast_to(weights["registers"], (count, config.num_registers, config.width)))
    if config.class_token:
        rows.insert(0, jnp.broadcast_to(weights["cls"] + positions[:, :1], (count, 1, config.width)))
    return jnp.concatenate(rows, axis=1)


def _block(config: ViTConfig, weights: Weights, block: str, tokens: jax.Array, rows: slice) -> jax.Array:
    """Returns [n, rows, width]: the given rows of the tokens, which attend to all of them."""
    normed = _norm(config, weights, f"{block}/LayerNorm_0", tokens)
    added = attend(weights, f"{block}/{ATTENTION}", normed[:, rows], normed)
    tokens = tokens[:, rows] + (added * weights[f"{block}/LayerScale_0"] if config.layer_scale else added)
    added = _mlp(config, weights, f"{block}/MlpBlock_0", _norm(config, weights, f"{block}/LayerNorm_1", tokens))
    return tokens + (added * weights[f"{block}/LayerScale_1"] if config.layer_scale else added)


def _norm(config: ViTConfig, weights: Weights, name: str, tokens: jax.Array) -> jax.Array:
    return layer_norm(weights, name, tokens, config.norm_epsilon)


def _mlp(config: ViTConfig, weights: Weights, name: str, tokens: jax.Array) -> jax.Array:
    if config.activation == "swiglu":
        return gated_mlp(weights, name, tokens)
    return mlp(weights, name, tokens, config.activation)


def _pool(config: ViTConfig, weights: Weights, tokens: jax.Array) -> jax.Array:
    patches = tokens[:, int(config.class_token) + config.num_registers :]
    if config.pooling == "average":
        return patches.mean(axis=1, dtype=jnp.float32)
    if config.pooling == CLASS_TOKEN_AND_AVERAGE:
        return jnp.concatenate([tokens[:, 0].astype(jnp.float32), patches.mean(axis=1, dtype=jnp.float32)], axis=1)
    if config.pooling == "map":
        probe = jnp.broadcast_to(weights["MAPHead_0/probe"], (tokens.shape[0], 1, config.width))
        pooled = attend(weights, f"MAPHead_0/{ATTENTION}", probe, tokens)
        pooled += _mlp(config, weights, "MAPHead_0/MlpBlock_0", _norm(config, weights, "MAPHead_0/LayerNorm_0", pooled))
        return pooled[:, 0]
    token = tokens[:, 0]
    if config.pooling == "pre_logits":
        return jnp.tanh(dense(weights, "pre_logits", token))
    if config.pooling == "projection":
        projected = token @ weights["head/kernel"]
        return projected + weights["head/bias"] if config.projection_bias else projected
    return token
