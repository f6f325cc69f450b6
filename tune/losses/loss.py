"""What a loss is to the trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import jax

LossParameters = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    """A loss over a batch of pairs, with parameters of its own.

    Attributes:
      initialise: returns its parameters at the start, float32 scalars by name.
      value: (parameters, images [n, d], texts [n, d]) -> float32 scalar; rows have unit norm; image i belongs to
        text i. Differentiable in the parameters and the texts, and in the images where they are trained.
      scale: parameters -> what similarities are multiplied by.
    """

    initialise: Callable[[], dict[str, jax.Array]]
    value: Callable[[LossParameters, jax.Array, jax.Array], jax.Array]
    scale: Callable[[LossParameters], jax.Array]
