"""The function that an AIMv2 model is: from images to embeddings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image.aimv2.config import AIMv2Config
from lit_precompute.towers.image.aimv2.parameters import HEAD, LAST_NORM, PATCH_NORM, sines
from lit_precompute.towers.image.attention import attend
from lit_precompute.towers.image.vit.parameters import ATTENTION, block_name
from lit_precompute.towers.layers import (
    Weights,
    attention,
    dense,
    gated_mlp,
    images_at_a_time,
    in_parts,
    patch_tokens,
    rms_norm,
)


def apply(
    config: AIMv2Config, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    weights = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    return in_parts(lambda part: _embed(config, weights, part), images, images_at_a_time(config.grid**2))


def _embed(config: AIMv2Config, weights: Weights, images: jax.Array) -> jax.Array:
    patches = patch_tokens(weights, "embedding", images.astype(config.compute_type))
    tokens = rms_norm(weights, PATCH_NORM, patches, config.norm_epsilon) + _positions(config, weights)
    for number in range(config.depth):
        tokens = _block(config, weights, block_name(number), tokens)
    tokens = rms_norm(weights, LAST_NORM, tokens, config.norm_epsilon)
    return _pool(config, weights, tokens).astype(jnp.float32)


def _positions(config: AIMv2Config, weights: Weights) -> jax.Array:
    if config.positions == "sine":
        return jnp.asarray(sines(config), config.compute_type)
    return jnp.asarray(weights["pos_embedding"])


def _block(config: AIMv2Config, weights: Weights, block: str, tokens: jax.Array) -> jax.Array:
    normed = rms_norm(weights, f"{block}/RMSNorm_0", tokens, config.norm_epsilon)
    tokens = tokens + attend(weights, f"{block}/{ATTENTION}", normed, normed)
    normed = rms_norm(weights, f"{block}/RMSNorm_1", tokens, config.norm_epsilon)
    return tokens + gated_mlp(weights, f"{block}/MlpBlock_0", normed)


def _pool(config: AIMv2Config, weights: Weights, tokens: jax.Array) -> jax.Array:
    if config.pooling == "average":
        return tokens.mean(axis=1, dtype=jnp.float32)
    pooled = _attention_pooling(config, weights, tokens)
    return dense(weights, "head", pooled) if config.pooling == "projection" else pooled


def _attention_pooling(config: AIMv2Config, weights: Weights, tokens: jax.Array) -> jax.Array:
    """Returns [n, width]: what one learnt query, which no layer projects, takes from the tokens."""
    heads = (config.num_heads, config.width // config.num_heads)
    query = jnp.broadcast_to(weights[f"{HEAD}/probe"], (len(tokens), 1, config.width)).reshape(-1, 1, *heads)
    key, value = (
        dense(weights, f"{HEAD}/{part}", tokens).reshape(*tokens.shape[:2], *heads) for part in ("key", "value")
    )
    return dense(weights, f"{HEAD}/out", attention(query, key, value).reshape(-1, config.width))
