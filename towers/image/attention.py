"""Attention of image towers: big_vision's parameters, with or without biases and rotary positions.

Not here: the product of queries, keys and values, which text towers have, too (`towers.layers`).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lit_precompute.towers.layers import Weights, attention

# From queries or keys [n, length, heads, head width] to those turned by their positions.
Turn = Callable[[Float[Array, "n length heads width"]], Float[Array, "n length heads width"]]


def attend(
    weights: Weights,
    name: str,
    queries: Float[Array, "n queries width"],
    tokens: Float[Array, "n length width"],
    *,
    turn_queries: Turn | None = None,
    turn_keys: Turn | None = None,
    norm: Callable[[jax.Array], jax.Array] | None = None,
) -> Float[Array, "n queries outputs"]:
    """Returns what each query takes from the tokens.

    Args:
      weights: `{query,key,value}/kernel` [width, heads, head width] and `out/kernel` [heads, head width, outputs],
        each with a bias or without.
      name: prefix of their names.
      queries: normalised; often some or all of the tokens.
      tokens: normalised.
      turn_queries: turns the projected queries by their positions.
      turn_keys: the same for keys.
      norm: of what all heads give, joined, before the last layer (EVA-CLIP).
    """
    query = _project(weights, f"{name}/query", queries)
    key, value = (_project(weights, f"{name}/{part}", tokens) for part in ("key", "value"))
    if turn_queries:
        query = turn_queries(query)
    if turn_keys:
        key = turn_keys(key)
    attended = attention(query, key, value)
    kernel = weights[f"{name}/out/kernel"]
    joined = attended.reshape(*attended.shape[:-2], -1)
    if norm:
        joined = norm(joined)
    return _with_bias(weights, f"{name}/out", joined @ kernel.reshape(-1, kernel.shape[-1]))


def _project(
    weights: Weights, name: str, tokens: Float[Array, "n length width"]
) -> Float[Array, "n length heads head_width"]:
    kernel = weights[f"{name}/kernel"]
    projected = _with_bias(weights, name, tokens @ kernel.reshape(kernel.shape[0], -1))
    return projected.reshape(*tokens.shape[:-1], *kernel.shape[1:])


def _with_bias(
    weights: Weights, name: str, values: Float[Array, "n length outputs"]
) -> Float[Array, "n length outputs"]:
    bias = f"{name}/bias"
    return values + weights[bias].reshape(-1) if bias in weights else values


def turn(
    vectors: Float[Array, "n length heads width"], angles: Float[np.ndarray, "positions half"]
) -> Float[Array, "n length heads width"]:
    """Returns vectors whose pairs of numbers, half a head apart, are turned by angles.

    Source: rotary positions, arXiv:2104.09864.

    Args:
      vectors: queries or keys; those of tokens without a position (class token, registers) come first.
      angles: in radians, for each position and each of the head's pairs; constants, computed in float64 or float32.
    """
    start = vectors.shape[1] - len(angles)
    turned, kept = vectors[:, start:].astype(jnp.float32), vectors[:, :start]
    cosines, sines = (function(angles)[:, None].astype(np.float32) for function in (np.cos, np.sin))
    first, second = jnp.split(turned, 2, axis=-1)
    result = jnp.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)
    return jnp.concatenate([kept, result.astype(vectors.dtype)], axis=1)
