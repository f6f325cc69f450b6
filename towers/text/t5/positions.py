"""T5's relative positions: distances between tokens in buckets, each with a bias for each head.

Source: arXiv:1910.10683, section 2.1; mesh_tensorflow, transformer/transformer_layers.py (`RelativeAttention`).
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Int32

from lit_precompute.towers.text.t5.options import T5TextOptions


def distance_buckets(
    distances: Int32[np.ndarray, "..."], num_buckets: int, max_distance: int
) -> Int32[np.ndarray, "..."]:
    """Returns the bucket of each distance, a key's position minus a query's.

    The first half of the buckets is for keys at or before the query, the second for those behind it. Within each half,
    the near distances have a bucket each, and those up to `max_distance` share the others, which widen logarithmically.
    """
    per_direction = num_buckets // 2
    num_exact = per_direction // 2
    far = np.abs(distances)
    # float32 as in the original, so that distances at a bucket's edge fall on the same side of it.
    ratio = np.log(np.maximum(far, num_exact).astype(np.float32) / np.float32(num_exact))
    steps = ratio / np.float32(math.log(max_distance / num_exact)) * np.float32(per_direction - num_exact)
    shared = np.minimum(num_exact + steps.astype(np.int32), per_direction - 1)
    return np.where(distances > 0, per_direction, 0).astype(np.int32) + np.where(far < num_exact, far, shared)


class RelativePositions(nnx.Module):
    """A bias of attention for each head and each bucket of distances."""

    def __init__(self, options: T5TextOptions, *, rngs: nnx.Rngs):
        self.num_buckets, self.max_distance = options.num_buckets, options.max_distance
        draw = nnx.initializers.normal(options.width**-0.5)
        self.embedding = nnx.Param(draw(rngs.params(), (options.num_buckets, options.num_heads), jnp.float32))

    def __call__(self, length: int) -> Float32[Array, "1 heads {length} {length}"]:
        """Returns what is added to the scores of each query (third axis) with each key (fourth)."""
        places = np.arange(length, dtype=np.int32)
        buckets = distance_buckets(places[None, :] - places[:, None], self.num_buckets, self.max_distance)
        return self.embedding[...][buckets].transpose(2, 0, 1)[None]
