"""The image side of the comparison: stored vectors, optionally standardised and passed through a linear head.

Promises: without options the stored vectors are used as they are (the paper's setting without an image head); int8
vectors travel to the device as they are stored and become float32 there, with their scales. Mean and
deviation are the dataset's, fixed before training and kept in the tuned model; they are never trained. Normalisation to
unit length is the loss's, and the tuned model's.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lit_precompute.tune.model.options import ImageSideOptions


class Statistics(NamedTuple):
    """Mean and deviation of each feature, float32 [D]."""

    mean: np.ndarray
    deviation: np.ndarray


HeadParameters = dict[str, jax.Array]


def draw_head(options: ImageSideOptions, width: int, key: jax.Array) -> HeadParameters:
    """Returns the head's first parameters, kernel [D, head_width] and bias; an empty dictionary without a head."""
    if options.head_width is None:
        return {}
    kernel = jax.nn.initializers.lecun_normal()(key, (width, options.head_width), jnp.float32)
    return {"kernel": kernel, "bias": jnp.zeros(options.head_width)}


def to_float32(vectors: jax.Array, scales: jax.Array) -> jax.Array:
    """Returns float32 [n, D] of stored vectors [n, D] and their scales: [n, 1] of int8, [n, 0] of the other types."""
    vectors = vectors.astype(jnp.float32)
    return vectors * scales if scales.shape[1] else vectors


def encode(parameters: HeadParameters, statistics: Statistics | None, vectors: jax.Array) -> jax.Array:
    """Returns float32 [n, d] of vectors [n, D] of any floating type; not normalised."""
    vectors = vectors.astype(jnp.float32)
    if statistics is not None:
        vectors = (vectors - statistics.mean) / statistics.deviation
    if not parameters:
        return vectors
    # On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
    return jnp.matmul(vectors, parameters["kernel"], precision=jax.lax.Precision.HIGHEST) + parameters["bias"]
