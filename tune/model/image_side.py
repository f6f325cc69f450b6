"""The image side: stored embeddings, optionally standardised and passed through a linear head, as a `Tower`.

Promises: without options the stored embeddings are used as they are (the paper's setting without an image head); int8
embeddings travel to the device as they are stored and become float32 there, with their scales. Mean and deviation are
the dataset's, fixed before training and kept in the tuned model; they are never trained. Normalisation to unit length
is the loss's, and the tuned model's.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.contract import Parameters, Tower
from lit_precompute.tune.model.options import ImageSideOptions


class Statistics(NamedTuple):
    """Mean and deviation of each feature, float32 [D]."""

    mean: np.ndarray
    deviation: np.ndarray


def make_image_side(options: ImageSideOptions, width: int, statistics: Statistics | None) -> Tower:
    """Returns the image side over `StoredVectors` of width `width`; it has parameters only where it has a head.

    Args:
      options: what happens to stored embeddings.
      width: length of a stored embedding.
      statistics: by which they are standardised; None leaves them.
    """
    head_width = options.head_width

    def initialise(key: jax.Array) -> dict[str, jax.Array]:
        if head_width is None:
            return {}
        kernel = jax.nn.initializers.lecun_normal()(key, (width, head_width), jnp.float32)
        return {"kernel": kernel, "bias": jnp.zeros(head_width)}

    return Tower(
        output_width=head_width or width,
        parameter_shapes={} if head_width is None else {"kernel": (width, head_width), "bias": (head_width,)},
        apply=lambda parameters, stored: _encode(parameters, statistics, _to_float32(stored)),
        initialise=initialise,
    )


def _to_float32(stored: StoredVectors) -> jax.Array:
    """Returns float32 [n, D] of vectors [n, D] in their stored type and their scales [n], which int8 alone has."""
    vectors = jnp.asarray(stored.numbers).astype(jnp.float32)
    return vectors if stored.scales is None else vectors * jnp.asarray(stored.scales)[:, None]


def _encode(parameters: Parameters, statistics: Statistics | None, vectors: jax.Array) -> jax.Array:
    """Returns float32 [n, d] of float32 vectors [n, D]; not normalised."""
    if statistics is not None:
        vectors = (vectors - statistics.mean) / statistics.deviation
    if not parameters:
        return vectors
    # On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
    return jnp.matmul(vectors, parameters["kernel"], precision=jax.lax.Precision.HIGHEST) + parameters["bias"]
