"""Options of losses; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, OptionsError, TaggedOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(TaggedOptions):
    """Options of a loss of any kind.

    Attributes:
      kind: a registered kind.
      initial_scale: what similarities are multiplied by at the start, that is 1/temperature; learnt as its logarithm.
      group_size: images that are contrasted with each other, consecutive ones of the batch (the paper's local loss);
        None: all of them.
      mask_duplicates: whether a text is not contrasted with images that have an equal one.
    """

    kinds: ClassVar[Kinds[LossOptions]] = Kinds("loss")
    initial_scale: float = 10.0
    group_size: int | None = None
    mask_duplicates: bool = False

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.initial_scale < math.inf:
            raise ValueError(f"loss.initial_scale must be > 0 and finite, got {self.initial_scale}")
        # Two images are the fewest that can be contrasted.
        if self.group_size is not None and self.group_size < 2:
            raise ValueError(f"loss.group_size must be >= 2 or None, got {self.group_size}")

    def check_batch(self, batch_size: int) -> None:
        """Raises OptionsError unless a batch of this many images consists of whole groups."""
        if self.group_size is not None and batch_size % self.group_size:
            raise OptionsError(
                f"loss.group_size must divide batch_size, which is {batch_size}, got {self.group_size}; choose a "
                "divisor, or None for the loss over the whole batch"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftmaxOptions(LossOptions):
    """The softmax contrastive loss.

    Attributes:
      kind: the softmax loss.
      initial_scale: what similarities are multiplied by at the start, that is 1/temperature; learnt as its logarithm.
      group_size: images that are contrasted with each other, consecutive ones of the batch (the paper's local loss);
        None: all of them.
      mask_duplicates: whether a text is not contrasted with images that have an equal one.
    """

    kind: Literal["softmax"] = "softmax"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SigmoidOptions(LossOptions):
    """The sigmoid loss: each image with each text is a question of its own, whether they belong together.

    Attributes:
      kind: the sigmoid loss.
      initial_scale: what similarities are multiplied by at the start, learnt as its logarithm: SigLIP 10, SAIL 20.
      group_size: images that are contrasted with each other, consecutive ones of the batch (the paper's local loss);
        None: all of them.
      mask_duplicates: whether a text is not contrasted with images that have an equal one.
      initial_bias: what is added to scaled similarities at the start; learnt. SigLIP and SAIL: -10.
    """

    kind: Literal["sigmoid"] = "sigmoid"
    initial_bias: float = -10.0

    def __post_init__(self):
        super().__post_init__()
        if not math.isfinite(self.initial_bias):
            raise ValueError(f"loss.initial_bias must be finite, got {self.initial_bias}")
