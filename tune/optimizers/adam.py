"""Adam."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from lit_precompute.tune.optimizers.options import OptimizerOptions

if TYPE_CHECKING:
    import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamOptions(OptimizerOptions):
    """Adam; with `weight_decay`, AdamW.

    Attributes:
      kind: Adam.
      learning_rate: at the schedule's peak.
      weight_decay: share of a kernel removed per step at the schedule's peak; not multiplied by the learning rate.
      beta1: decay of the gradients' running mean.
      beta2: decay of the squared gradients' running mean.
      epsilon: added to the square root of that mean.
      clip_norm: largest global norm of the gradients; None: no clipping.
      warmup_steps: steps of linear warm-up.
      schedule: after the warm-up, `cosine` to 0 at the last step, or `constant`.
    """

    kind: Literal["adam"] = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self):
        super().__post_init__()
        if not self.epsilon > 0:
            raise ValueError(f"optimizer.epsilon must be > 0, got {self.epsilon}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optimizer.{name} must be in [0, 1), got {getattr(self, name)}")


def scale_by_adam(options: AdamOptions) -> optax.GradientTransformation:
    """Returns the scaling of gradients."""
    import optax  # takes a second, and reading options does not need it

    return optax.scale_by_adam(b1=options.beta1, b2=options.beta2, eps=options.epsilon)
