"""The contract between a loss and the trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from jaxtyping import Array, Float32

LossParameters = Mapping[str, Float32[Array, ""]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    """A loss over a batch of pairs, with parameters of its own.

    Attributes:
      initialise: returns its parameters at the start.
      value: the loss from parameters, images and texts: unit-norm rows, image i paired with text i. Differentiable in
        the parameters and the texts, and in the images where they are trained.
      scale: what similarities are multiplied by, from the parameters.
    """

    initialise: Callable[[], dict[str, Float32[Array, ""]]]
    value: Callable[[LossParameters, Float32[Array, "n d"], Float32[Array, "n d"]], Float32[Array, ""]]
    scale: Callable[[LossParameters], Float32[Array, ""]]
