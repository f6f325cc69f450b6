"""The image side: stored embeddings, optionally standardised and passed through a linear head, as a `Tower`.

Promises: without options, stored embeddings are used unchanged (the paper's setting without an image head). int8
embeddings move to the device as stored and become float32 there, by their scales. Mean and deviation are the dataset's:
fixed before training, saved in the tuned model and never trained. Does not: normalise; the loss and the tuned model do.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.contract import Parameters, Tower
from lit_precompute.tune.model.options import ImageSideOptions

_SMALLEST = np.finfo(np.float32).tiny


class Statistics(NamedTuple):
    """Mean and deviation of each feature."""

    mean: Float32[np.ndarray, " width"]
    deviation: Float32[np.ndarray, " width"]


def pop_statistics(arrays: dict[str, Shaped[np.ndarray, "..."]], width: int, where: str) -> Statistics:
    """Removes mean and deviation from a file's arrays of the image side and returns them.

    Raises:
      ValueError: one is missing, has another shape or is not finite, or a deviation is not positive; `where` names the
        file.
    """
    found = {name: arrays.pop(name, np.zeros(0, np.float32)) for name in Statistics._fields}
    shapes = {name: value.shape for name, value in found.items()}
    if set(shapes.values()) != {(width,)}:
        raise ValueError(f"{where}: mean and deviation of the image side must be [{width}], got {shapes}")
    statistics = Statistics(**found)
    # Smaller numbers than the smallest normal one count as zero on most devices.
    rules = {
        "mean": ("finite", np.isfinite(statistics.mean)),
        "deviation": ("finite and > 0", np.isfinite(statistics.deviation) & (statistics.deviation >= _SMALLEST)),
    }
    for name, (rule, holds) in rules.items():
        if not holds.all():
            place = int(np.argmin(holds))
            raise ValueError(f"{where}: {name} of the image side must be {rule}, got {found[name][place]} at {place}")
    return statistics


def make_image_side(options: ImageSideOptions, width: int, statistics: Statistics | None) -> Tower:
    """Returns the image side over `StoredVectors` of this width; it has parameters only if it has a head.

    Args:
      options: what happens to stored embeddings.
      width: length of a stored embedding.
      statistics: to standardise them by, or None.
    """
    head_width = options.head_width

    def initialise(key: jax.Array) -> dict[str, Float32[Array, "..."]]:
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


def _to_float32(stored: StoredVectors) -> Float32[Array, "n width"]:
    vectors = jnp.asarray(stored.numbers).astype(jnp.float32)
    return vectors if stored.scales is None else vectors * jnp.asarray(stored.scales)[:, None]


def _encode(
    parameters: Parameters, statistics: Statistics | None, vectors: Float32[Array, "n width"]
) -> Float32[Array, "n output_width"]:
    if statistics is not None:
        vectors = (vectors - statistics.mean) / statistics.deviation
    if not parameters:
        return vectors
    # On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
    return jnp.matmul(vectors, parameters["kernel"], precision=jax.lax.Precision.HIGHEST) + parameters["bias"]
