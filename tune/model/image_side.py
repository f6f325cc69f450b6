"""The image side: stored embeddings, optionally standardised and passed through a head, as a `Tower`.

Promises: without options, stored embeddings are used unchanged (the paper's setting without an image head). int8
embeddings move to the device as stored and become float32 there, by their scales. Mean and deviation are the dataset's:
fixed before training, saved in the tuned model and never trained. Does not: normalise; the loss and the tuned model do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.contract import Tower
from lit_precompute.towers.heads import NoHeadOptions
from lit_precompute.towers.heads.network import make_head
from lit_precompute.towers.options import ComputeType
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


def make_image_side(
    options: ImageSideOptions, width: int, statistics: Statistics | None, compute_type: ComputeType = "float32"
) -> Tower:
    """Returns the image side over `StoredVectors` of this width; it has parameters only if it has a head.

    Args:
      options: what happens to stored embeddings.
      width: length of a stored embedding.
      statistics: to standardise them by, or None.
      compute_type: type of the head's products; see `make_head`.
    """
    has_head = options.head_width is not None or options.head.kind != "linear"
    kind = options.head if has_head else NoHeadOptions()
    head = make_head(kind, input_width=width, output_width=options.head_width or width, compute_type=compute_type)
    return over_stored(head, lambda vectors: _standardise(vectors, statistics))


def over_stored(head: Tower, prepare: Callable[[jax.Array], jax.Array] = lambda vectors: vectors) -> Tower:
    """Returns a head over `StoredVectors`, which become float32 on the device and are prepared first."""
    train = head.apply_in_training
    return dataclasses.replace(
        head,
        apply=lambda parameters, stored: head.apply(parameters, prepare(_to_float32(stored))),
        apply_in_training=None
        if train is None
        else lambda parameters, stored, keys: train(parameters, prepare(_to_float32(stored)), keys),
    )


def _to_float32(stored: StoredVectors) -> Float32[Array, "n width"]:
    vectors = jnp.asarray(stored.numbers).astype(jnp.float32)
    return vectors if stored.scales is None else vectors * jnp.asarray(stored.scales)[:, None]


def _standardise(vectors: Float32[Array, "n width"], statistics: Statistics | None) -> Float32[Array, "n width"]:
    return vectors if statistics is None else (vectors - statistics.mean) / statistics.deviation
