"""Adam."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from lit_precompute.tune.optimizers.options import MomentumType, OptimizerOptions, check_moments

if TYPE_CHECKING:
    import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamOptions(OptimizerOptions):
    """Adam; with `weight_decay`, AdamW.

    Attributes:
      kind: Adam.
      beta1: decay of the gradients' running mean.
      beta2: decay of the squared gradients' running mean.
      epsilon: added to the square root of that mean.
      momentum_type: type of the gradients' running mean; bfloat16 takes half of its memory.
    """

    kind: Literal["adam"] = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    momentum_type: MomentumType = "float32"

    def __post_init__(self):
        super().__post_init__()
        check_moments(self)


def scale_by_adam(options: AdamOptions) -> optax.GradientTransformation:
    """Returns the scaling of gradients."""
    import optax  # takes a second, and reading options does not need it

    return optax.scale_by_adam(b1=options.beta1, b2=options.beta2, eps=options.epsilon, mu_dtype=options.momentum_type)
