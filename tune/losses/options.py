"""Options of losses; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, TaggedOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(TaggedOptions):
    """Options of a loss of any kind.

    Attributes:
      kind: a registered kind.
      initial_scale: what similarities are multiplied by at the start, that is 1/temperature; learnt as its logarithm.
    """

    kinds: ClassVar[Kinds[LossOptions]] = Kinds("loss")
    initial_scale: float = 10.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.initial_scale < math.inf:
            raise ValueError(f"loss.initial_scale must be > 0 and finite, got {self.initial_scale}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftmaxOptions(LossOptions):
    """The softmax contrastive loss over the global batch.

    Attributes:
      kind: the softmax loss.
      initial_scale: what similarities are multiplied by at the start, that is 1/temperature; learnt as its logarithm.
    """

    kind: Literal["softmax"] = "softmax"
