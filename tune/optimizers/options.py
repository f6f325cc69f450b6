"""Options of the optimisers; read without JAX, whose import takes seconds."""

import dataclasses
import typing
from typing import Literal

OptimizerName = Literal["adam"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """What trains the parameters.

    Attributes:
      name: a name in `OPTIMIZERS` (tune/optimizers/chain.py).
      learning_rate: at the schedule's peak.
      weight_decay: share of a kernel removed per step at the schedule's peak; not times the learning rate.
      beta1: decay of the gradients' running mean.
      beta2: decay of the squared gradients' running mean.
      epsilon: added to the root of the latter.
      clip_norm: largest global norm of the gradients; None leaves them.
      warmup_steps: steps of linear warm-up.
      schedule: after the warm-up, `cosine` to 0 at the last step, or `constant`.
    """

    name: OptimizerName = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self):
        if self.name not in typing.get_args(OptimizerName):
            raise ValueError(f"optimizer.name must be one of {list(typing.get_args(OptimizerName))}, got {self.name!r}")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"optimizer.schedule must be 'cosine' or 'constant', got {self.schedule!r}")
        for name in ("learning_rate", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optimizer.{name} must be > 0, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimizer.{name} must be >= 0, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optimizer.{name} must be in [0, 1), got {getattr(self, name)}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"optimizer.clip_norm must be > 0 or None, got {self.clip_norm}")
