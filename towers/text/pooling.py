"""Pooling: from the vectors of a text's tokens to one vector, for all families of text towers.

Promises: what is not real (padding, where a tower masks it) has no share in `average`, `max` and `attention`; a row of
padding alone gives zeros in the first two. A family that masks nothing (the paper's text ViT) pools over all positions.

Source: big_vision, models/vit.py (`MAPHead`); arXiv:2106.04560.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float32, Int32

from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.layers import Attention, perceptron_layer
from lit_precompute.towers.text.options import Pooling

# From all tokens' vectors to one of each text.
Take = Callable[[Float32[Array, "n length width"]], Float32[Array, "n 1 width"]]


class AttentionPooling(nnx.Module):
    """A learnt query that attends to all tokens, then a perceptron that is added to the result."""

    def __init__(self, width: int, num_heads: int, mlp_width: int, *, compute_type: ComputeType, rngs: nnx.Rngs):
        self.probe = nnx.Param(nnx.initializers.xavier_uniform()(rngs.params(), (1, 1, width), jnp.float32))
        self.attention = Attention(width, num_heads, compute_type=compute_type, rngs=rngs)
        self.perceptron_norm = nnx.LayerNorm(width, rngs=rngs)
        self.perceptron_in = perceptron_layer(width, mlp_width, compute_type=compute_type, rngs=rngs)
        self.perceptron_out = perceptron_layer(mlp_width, width, compute_type=compute_type, rngs=rngs)

    def __call__(
        self, hidden: Float32[Array, "n length width"], is_real: Bool[Array, "n length"] | None
    ) -> Float32[Array, "n width"]:
        """Returns the query's vector for each text."""
        probes = jnp.broadcast_to(self.probe[...], (len(hidden), 1, hidden.shape[-1]))
        pooled = self.attention(probes, hidden, is_real).astype(jnp.float32)
        inner = jax.nn.gelu(self.perceptron_in(self.perceptron_norm(pooled)), approximate=True)
        return (pooled + self.perceptron_out(inner).astype(jnp.float32))[:, 0]


def make_pooling(
    pooling: Pooling, *, width: int, num_heads: int, mlp_width: int, compute_type: ComputeType, rngs: nnx.Rngs
) -> AttentionPooling | None:
    """Returns the module that `pool` needs; None where the pooling has no parameters."""
    if pooling != "attention":
        return None
    return AttentionPooling(width, num_heads, mlp_width, compute_type=compute_type, rngs=rngs)


def pool(
    pooling: Pooling,
    module: AttentionPooling | None,
    hidden: Float32[Array, "n length width"],
    tokens: Int32[Array, "n length"],
    *,
    is_real: Bool[Array, "n length"] | None,
    end_id: int,
) -> Float32[Array, "n width"]:
    """Returns each text's vector.

    Args:
      pooling: which.
      module: what `make_pooling` returned.
      hidden: the tokens' vectors.
      tokens: their ids.
      is_real: which of them are not padding; None: no padding is masked.
      end_id: the id that ends a text; `end` takes the first one's vector, in a row without one that of the last real
        token.
    """
    if (take := only_position(pooling, tokens, is_real=is_real, end_id=end_id)) is not None:
        return take(hidden)[:, 0]
    if pooling == "average":
        return hidden.mean(axis=1) if is_real is None else _average(hidden, is_real)
    if pooling == "max":
        return hidden.max(axis=1) if is_real is None else _max(hidden, is_real)
    assert module is not None
    return module(hidden, is_real)


def only_position(
    pooling: Pooling, tokens: Int32[Array, "n length"], *, is_real: Bool[Array, "n length"] | None, end_id: int
) -> Take | None:
    """Returns what takes the vectors of the one position that the pooling reads; None if it reads several.

    A tower's last block need not compute any other: with twelve blocks, a fifteenth of the work.
    """
    match pooling:
        case "first":
            return lambda hidden: hidden[:, :1]
        case "last":
            return lambda hidden: hidden[:, -1:]
        case "end":
            position = _end(tokens == end_id, is_real)
            return lambda hidden: jnp.take_along_axis(hidden, position[:, None, None], axis=1)
        case _:
            return None


def _end(is_end: Bool[Array, "n length"], is_real: Bool[Array, "n length"] | None) -> Int32[Array, "n"]:
    last = is_end.shape[1] - 1
    if is_real is not None:
        last = last - is_real[:, ::-1].argmax(axis=1)
    return jnp.where(is_end.any(axis=1), is_end.argmax(axis=1), last)


def _average(hidden: Float32[Array, "n length width"], is_real: Bool[Array, "n length"]) -> Float32[Array, "n width"]:
    kept = jnp.where(is_real[:, :, None], hidden, 0)
    return kept.sum(axis=1) / jnp.maximum(is_real.sum(axis=1, keepdims=True, dtype=jnp.float32), 1)


def _max(hidden: Float32[Array, "n length width"], is_real: Bool[Array, "n length"]) -> Float32[Array, "n width"]:
    largest = jnp.where(is_real[:, :, None], hidden, -jnp.inf).max(axis=1)
    return jnp.where(is_real.any(axis=1, keepdims=True), largest, 0)
