"""Layers that text towers share: multi-head attention and the two-layer perceptron, initialised as big_vision does."""

from __future__ import annotations

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float

from lit_precompute.towers.options import ComputeType


class Attention(nnx.Module):
    """Multi-head attention with biases; nothing is causal."""

    def __init__(self, width: int, num_heads: int, *, compute_type: ComputeType, rngs: nnx.Rngs):
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
        self.query, self.key, self.value = (project(width, heads) for _ in range(3))
        self.out = project(heads, width)

    def __call__(
        self,
        queries: Float[Array, "n queries width"],
        inputs: Float[Array, "n length width"],
        attended: Bool[Array, "n length"] | None = None,
    ) -> Float[Array, "n queries width"]:
        """Returns, for each query, the projected sum of the inputs' values, weighted by attention.

        Args:
          queries: who attends; the inputs themselves for self-attention.
          inputs: what is attended to.
          attended: which inputs may be attended to, or None for all.
        """
        mask = None if attended is None else attended[:, None, None, :]
        weighted = jax.nn.dot_product_attention(self.query(queries), self.key(inputs), self.value(inputs), mask=mask)
        return self.out(weighted)


def perceptron_layer(in_features: int, out_features: int, *, compute_type: ComputeType, rngs: nnx.Rngs) -> nnx.Linear:
    """Returns one of the two layers of a perceptron."""
    return nnx.Linear(
        in_features,
        out_features,
        kernel_init=nnx.initializers.xavier_uniform(),
        bias_init=nnx.initializers.normal(1e-6),
        dtype=compute_type,
        rngs=rngs,
    )
