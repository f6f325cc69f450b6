"""The function that an EVA-02 or a Perception Encoder is: from images to embeddings."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image.attention import Turn, attend, turn
from lit_precompute.towers.image.eva.config import EvaConfig
from lit_precompute.towers.image.eva.parameters import LAST_NORM, MAP, PRE_NORM
from lit_precompute.towers.image.eva.positions import angles
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
    config: EvaConfig, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    weights = {name: _in_halves(name, value).astype(config.compute_type) for name, value in parameters.items()}
    # The gate and the norm within the MLP make twice as many arrays: half as many images stay in the cache.
    num_arrays = 2 if config.mlp_norm else 1
    return in_parts(lambda part: _embed(config, weights, part), images, images_at_a_time(num_arrays * config.grid**2))


def _in_halves(name: str, value: jax.Array) -> jax.Array:
    """Returns kernels and biases of queries and keys with a head's numbers in another order: evens before odds.

    The models turn neighbours, which CPUs are slow at. Products of queries with keys are the same in any common order.
    """
    if not name.startswith("Transformer/") or not any(f"/{ATTENTION}/{part}/" in name for part in ("query", "key")):
        return value
    return value.reshape(*value.shape[:-1], -1, 2).swapaxes(-1, -2).reshape(value.shape)


def _embed(config: EvaConfig, weights: Weights, images: jax.Array) -> jax.Array:
    tokens = patch_tokens(weights, "embedding", images.astype(config.compute_type))
    if config.class_token:
        first = jnp.broadcast_to(weights["cls"], (len(tokens), 1, config.width))
        tokens = jnp.concatenate([first, tokens], axis=1)
    tokens += weights["pos_embedding"]
    if config.pre_norm:
        tokens = _norm(config, weights, PRE_NORM, tokens)
    turned = None if config.rotary == "none" else functools.partial(turn, angles=angles(config))
    for number in range(config.depth - 1):
        tokens = _block(config, weights, block_name(number), tokens, turned)
    # After the last block's attention only the row that is pooled is computed.
    only_first = config.pooled == "class_token"
    tokens = _block(config, weights, block_name(config.depth - 1), tokens, turned, only_first=only_first)
    return _pool(config, weights, tokens).astype(jnp.float32)


def _block(
    config: EvaConfig,
    weights: Weights,
    block: str,
    tokens: jax.Array,
    turned: Turn | None,
    *,
    only_first: bool = False,
) -> jax.Array:
    """Returns the tokens, or only the first of them, the class token, after one block."""
    attention, first, second = f"{block}/{ATTENTION}", f"{block}/LayerNorm_0", f"{block}/LayerNorm_1"
    before = config.block_norms == "before"
    rows = slice(1 if only_first else None)

    normed = _norm(config, weights, first, tokens) if before else tokens
    inner = functools.partial(_norm, config, weights, f"{attention}/LayerNorm_0") if config.attention_norm else None
    # The class token has no position.
    turned_queries = None if only_first else turned
    added = attend(
        weights, attention, normed[:, rows], normed, turn_queries=turned_queries, turn_keys=turned, norm=inner
    )
    tokens = tokens[:, rows] + (added if before else _norm(config, weights, first, added))

    added = _mlp(config, weights, f"{block}/MlpBlock_0", _norm(config, weights, second, tokens) if before else tokens)
    return tokens + (added if before else _norm(config, weights, second, added))


def _norm(config: EvaConfig, weights: Weights, name: str, tokens: jax.Array) -> jax.Array:
    return layer_norm(weights, name, tokens, config.norm_epsilon)


def _mlp(config: EvaConfig, weights: Weights, name: str, tokens: jax.Array) -> jax.Array:
    if config.activation == "exact":
        return mlp(weights, name, tokens, "exact")
    norm = functools.partial(_norm, config, weights, f"{name}/LayerNorm_0") if config.mlp_norm else None
    return gated_mlp(weights, name, tokens, norm)


def _pool(config: EvaConfig, weights: Weights, tokens: jax.Array) -> jax.Array:
    if config.pooled == "average" and config.last_norm == "average":
        patches = tokens[:, int(config.class_token) :].mean(axis=1, dtype=jnp.float32)
        return _norm(config, weights, LAST_NORM, patches)
    tokens = _norm(config, weights, LAST_NORM, tokens)
    if config.pooled == "average":
        return tokens[:, int(config.class_token) :].mean(axis=1, dtype=jnp.float32)
    pooled = _map(config, weights, tokens) if config.pooled == "map" else tokens[:, 0]
    return dense(weights, "head", pooled) if config.pooling == "projection" else pooled


def _map(config: EvaConfig, weights: Weights, tokens: jax.Array) -> jax.Array:
    probe = jnp.broadcast_to(weights[f"{MAP}/probe"], (len(tokens), 1, config.width))
    pooled = attend(weights, f"{MAP}/{ATTENTION}", probe, tokens)
    normed = _norm(config, weights, f"{MAP}/LayerNorm_0", pooled)
    return (pooled + mlp(weights, f"{MAP}/MlpBlock_0", normed, "exact"))[:, 0]
