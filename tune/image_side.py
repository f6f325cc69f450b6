"""The image side of a locked tower: its vectors as stored, optionally standardised, optionally through a linear head.

Promises: without options the vectors pass unchanged. The standardisation is fixed before training and is no parameter;
the head is the only part that is trained. What training uses is what the tuned model applies.

Does not: run an image tower, or normalise its result; the loss does that.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSideOptions:
    """What happens to the image tower's vectors.

    Attributes:
      head: whether a linear layer with bias, as wide as the vectors, is trained on them; the paper does without.
      standardise: whether each feature is centred and divided by its deviation over the dataset, fixed before training.
    """

    head: bool = False
    standardise: bool = False


class Standardisation(NamedTuple):
    """Subtracted mean and dividing deviation, float32 [D] each."""

    mean: np.ndarray
    deviation: np.ndarray


def draw_parameters(options: ImageSideOptions, width: int, key: jax.Array) -> dict[str, Any]:
    """Returns what is trained: nothing, or a head drawn as the text tower's (LeCun's normal, bias 0)."""
    if not options.head:
        return {}
    kernel = jax.nn.initializers.lecun_normal()(key, (width, width), jnp.float32)
    return {"head": {"kernel": kernel, "bias": jnp.zeros(width)}}


def encode(parameters: Mapping[str, Any], vectors: jax.Array, standardisation: Standardisation | None) -> jax.Array:
    """Returns float32 [n, D], not normalised, for the tower's vectors [n, D] of any floating type."""
    vectors = vectors.astype(jnp.float32)
    if standardisation is not None:
        vectors = (vectors - standardisation.mean) / standardisation.deviation
    if "head" in parameters:
        head = parameters["head"]
        # Full precision: on GPUs and TPUs the default would round these few products to 10 bits or fewer.
        vectors = jnp.matmul(vectors, head["kernel"], precision=jax.lax.Precision.HIGHEST) + head["bias"]
    return vectors
