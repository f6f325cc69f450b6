"""Lion: the sign of a mean of gradients. Its learning rate is usually a third to a tenth of Adam's.

Source: arXiv:2302.06675, algorithm 2.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from lit_precompute.tune.optimizers.options import MomentumType, OptimizerOptions, check_moments

if TYPE_CHECKING:
    import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class LionOptions(OptimizerOptions):
    """Lion.

    Attributes:
      kind: Lion.
      beta1: share of the running mean in a step's direction; the rest is the gradient's.
      beta2: decay of the gradients' running mean.
      momentum_type: type of that mean; bfloat16 takes half of its memory.
    """

    kind: Literal["lion"] = "lion"
    beta1: float = 0.9
    beta2: float = 0.99
    momentum_type: MomentumType = "float32"

    def __post_init__(self):
        super().__post_init__()
        check_moments(self)


def scale_by_lion(options: LionOptions) -> optax.GradientTransformation:
    """Returns the scaling of gradients: -1, 0 or 1 for each number."""
    import optax  # takes a second, and reading options does not need it

    return optax.scale_by_lion(b1=options.beta1, b2=options.beta2, mu_dtype=options.momentum_type)
