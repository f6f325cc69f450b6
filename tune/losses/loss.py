"""The contract between a loss and the trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxtyping import Array, Bool, Float32, Int32

LossParameters = Mapping[str, Float32[Array, ""]]


class Pairs(NamedTuple):
    """Which texts of a batch belong to which of its n images: c to each, image i's are i*c to i*c + c - 1.

    Attributes:
      present: which of its c texts each image has; an absent one takes no part. None: all.
      text_ids: equal for texts that are not contrasted with each other's images, since they are equal; not negative.
        None: all texts are contrasted.
    """

    present: Bool[Array, "n c"] | None = None
    text_ids: Int32[Array, "n c"] | None = None


ONE_EACH = Pairs()
"""All texts are present, and none are equal."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Loss:
    """A loss over a batch of images and their texts, with parameters of its own.

    Attributes:
      initialise: returns its parameters at the start.
      value: the loss from parameters, images and texts (unit-norm rows, c texts for each image), and what belongs to
        what. Differentiable in the parameters and the texts, and in the images where they are trained.
      scale: what similarities are multiplied by, from the parameters.
      bias: what is added to scaled similarities, from the parameters; None: nothing is.
    """

    initialise: Callable[[], dict[str, Float32[Array, ""]]]
    value: Callable[[LossParameters, Float32[Array, "n d"], Float32[Array, "m d"], Pairs], Float32[Array, ""]]
    scale: Callable[[LossParameters], Float32[Array, ""]]
    bias: Callable[[LossParameters], Float32[Array, ""]] | None = None
