"""Pooling: from the vectors of a text's tokens to one vector.

Promises: what is not real (padding, where a tower masks it) has no share in `average`, `max` and `attention`.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float32, Int32

from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.options import Pooling


def make_pooling(
    pooling: Pooling, *, width: int, num_heads: int, mlp_width: int, compute_type: ComputeType, rngs: nnx.Rngs
) -> "AttentionPooling | None":
    """Returns the module that `pool` needs; None where the pooling has no parameters."""
    if pooling != "attention":
        return None
    return AttentionPooling(width, num_heads, mlp_width, compute_type=compute_type, rngs=rngs)


def pool(
    pooling: Pooling,
    module: "AttentionPooling | None",
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
      end_id: the id that ends a text; `end` takes the first one's vector.
    """
    match pooling:
        case "last":
            pooled = hidden[:, -1]
        case "first":
            pooled = hidden[:, 0]
        case "end":
            pooled = hidden[jnp.arange(len(hidden)), jnp.argmax(tokens == end_id, axis=1)]
        case "average":
            pooled = hidden.mean(axis=1) if is_real is None else _average(hidden, is_real)
        case "max":
            kept = hidden if is_real is None else jnp.where(is_real[:, :, None], hidden, -jnp.inf)
            pooled = kept.max(axis=1)
        case "attention":
            assert module is not None
            pooled = module(hidden, is_real)
    return pooled


def _average(hidden: Float32[Array, "n length width"], is_real: Bool[Array, "n length"]) -> Float32[Array, "n width"]:
    share = is_real / jnp.maximum(is_real.sum(axis=1, keepdims=True), 1)
    return jnp.einsum("nlw,nl->nw", hidden, share, precision=jax.lax.Precision.HIGHEST)


class AttentionPooling(nnx.Module):
    """A learnt query that attends to all tokens, then a perceptron that is added to the result.

    Source: big_vision, models/vit.py (`MAPHead`); arXiv:2106.04560.
    """

    def __init__(self, width: int, num_heads: int, mlp_width: int, *, compute_type: ComputeType, rngs: nnx.Rngs):
        def project(in_features: int | tuple[int, int], out_features: int | tuple[int, int]) -> nnx.LinearGeneral:
            return nnx.LinearGeneral(
                in_features,
                out_features,
                axis=(-2, -1) if isinstance(in_features, tuple) else -1,
                kernel_init=nnx.initializers.xavier_uniform(),
                dtype=compute_type,
                rngs=rngs,
            )

        heads = (num_heads, width // num_heads)
        draw_probe = nnx.initializers.xavier_uniform()
        self.probe = nnx.Param(draw_probe(rngs.params(), (1, 1, width), jnp.float32))
        self.query, self.key, self.value = (project(width, heads) for _ in range(3))
        self.out = project(heads, width)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.perceptron_in = nnx.Linear(width, mlp_width, dtype=compute_type, rngs=rngs)
        self.perceptron_out = nnx.Linear(mlp_width, width, dtype=compute_type, rngs=rngs)

    def __call__(
        self, hidden: Float32[Array, "n length width"], is_real: Bool[Array, "n length"] | None
    ) -> Float32[Array, "n width"]:
        """Returns the query's vector for each text."""
        probe = jnp.broadcast_to(self.probe[...], (len(hidden), 1, hidden.shape[-1]))
        mask = None if is_real is None else is_real[:, None, None, :]
        attended = jax.nn.dot_product_attention(self.query(probe), self.key(hidden), self.value(hidden), mask=mask)
        residual = self.out(attended).astype(jnp.float32)
        inner = jax.nn.gelu(self.perceptron_in(self.norm(residual)), approximate=True)
        return (residual + self.perceptron_out(inner).astype(jnp.float32))[:, 0]
