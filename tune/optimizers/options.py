"""Options of optimizers; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, TaggedOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions(TaggedOptions):
    """Options of an optimizer of any kind.

    Attributes:
      kind: a registered kind.
      learning_rate: at the schedule's peak.
      weight_decay: share of a kernel removed per step at the schedule's peak; not multiplied by the learning rate.
      clip_norm: largest global norm of the gradients; None: no clipping.
      warmup_steps: steps of linear warm-up.
      schedule: after the warm-up, `cosine` to 0 at the last step, or `constant`.
    """

    kinds: ClassVar[Kinds[OptimizerOptions]] = Kinds("optimizer")
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self):
        super().__post_init__()
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"optimizer.schedule must be 'cosine' or 'constant', got {self.schedule!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"optimizer.learning_rate must be > 0, got {self.learning_rate}")
        for name in ("weight_decay", "warmup_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimizer.{name} must be >= 0, got {getattr(self, name)}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"optimizer.clip_norm must be > 0 or None, got {self.clip_norm}")
