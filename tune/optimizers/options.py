"""Options of optimizers; importable without JAX, whose import takes seconds."""

from __future__ import annotations

import dataclasses
import typing
from typing import ClassVar, Literal

from lit_precompute.towers.options import Kinds, OptionsError, TaggedOptions

Schedule = Literal["cosine", "linear", "constant", "rsqrt"]
SideSchedule = Literal["same", "delay", "sigmoid", "two-cycles"]
MomentumType = Literal["float32", "bfloat16"]
# What is decayed unless the user says otherwise, as in big_vision: matrices.
KERNELS = "kernel,*/kernel"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SideRateOptions:
    """How fast one side is trained, beside the base rate.

    Attributes:
      rate_factor: what the side's learning rate is of the base rate; its weight decay is not multiplied.
      schedule: same as the base; or delay, 0 for the first half of the training and then the whole schedule; sigmoid,
        the base times a sigmoid of the time; two-cycles, one for each half, first the text side's, then the image's.
    """

    rate_factor: float = 1.0
    schedule: SideSchedule = "same"

    def check(self, where: str) -> None:
        """Raises OptionsError if a value breaks a rule; `where` is the options' path."""
        _check(self.rate_factor > 0, f"{where}.rate_factor", "> 0", self.rate_factor)
        _check_choice(self.schedule, SideSchedule, f"{where}.schedule")

    @property
    def is_halved(self) -> bool:
        """Whether the schedule has half of the steps."""
        return self.schedule in ("delay", "two-cycles")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions(TaggedOptions):
    """Options of an optimizer of any kind.

    Attributes:
      kind: a registered kind.
      learning_rate: at the schedule's peak.
      weight_decay: share of a parameter removed per step at the schedule's peak; not multiplied by the learning rate.
      decayed: patterns of the names of parameters that decay, separated by commas; `*` for all but the loss's own.
      not_decayed: patterns of those among them that do not decay.
      clip_norm: largest global norm of the gradients; None: no clipping.
      warmup_steps: steps of linear warm-up.
      schedule: after the warm-up; cosine or linear to 0 (reached after the last step), constant, or rsqrt (reverse
        square root).
      timescale_steps: of rsqrt; the rate has fallen to its 1/sqrt(2) this many steps after the warm-up.
      cooldown_steps: last steps, over which constant and rsqrt fall linearly to 0.
      ema_decay: decay of a moving average of the parameters, which then is the tuned model; None: the last ones are.
      image: how fast the image side is trained.
      text: how fast the text side is trained.
    """

    kinds: ClassVar[Kinds[OptimizerOptions]] = Kinds("optimizer")
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    decayed: str = KERNELS
    not_decayed: str = ""
    clip_norm: float | None = 1.0
    warmup_steps: int = 0
    schedule: Schedule = "cosine"
    timescale_steps: int = 10_000
    cooldown_steps: int = 0
    ema_decay: float | None = None
    image: SideRateOptions = dataclasses.field(default_factory=SideRateOptions)
    text: SideRateOptions = dataclasses.field(default_factory=SideRateOptions)

    def __post_init__(self):
        super().__post_init__()
        _check_choice(self.schedule, Schedule, "optimizer.schedule")
        _check(self.learning_rate > 0, "optimizer.learning_rate", "> 0", self.learning_rate)
        for name in ("weight_decay", "warmup_steps", "cooldown_steps"):
            _check(getattr(self, name) >= 0, f"optimizer.{name}", ">= 0", getattr(self, name))
        _check(self.timescale_steps > 0, "optimizer.timescale_steps", "> 0", self.timescale_steps)
        _check(self.clip_norm is None or self.clip_norm > 0, "optimizer.clip_norm", "> 0 or None", self.clip_norm)
        _check(
            self.ema_decay is None or 0 < self.ema_decay < 1, "optimizer.ema_decay", "in (0, 1) or None", self.ema_decay
        )
        rule = f"0 where optimizer.schedule is {self.schedule}, which ends at 0 by itself"
        _check(
            self.cooldown_steps == 0 or self.schedule in ("constant", "rsqrt"),
            "optimizer.cooldown_steps",
            rule,
            self.cooldown_steps,
        )
        for name, side in self.sides().items():
            side.check(f"optimizer.{name}")
        if (self.image.schedule == "two-cycles") != (self.text.schedule == "two-cycles"):
            raise OptionsError(
                "optimizer.image.schedule and optimizer.text.schedule must both be two-cycles, or neither: the sides "
                f"take turns; got {self.image.schedule} and {self.text.schedule}"
            )

    def sides(self) -> dict[str, SideRateOptions]:
        """Returns the options of both sides by their names."""
        return {"image": self.image, "text": self.text}

    def min_num_steps(self) -> int:
        """Returns the length of the shortest training that the schedules fit into."""
        whole = max(self.warmup_steps + 1, self.warmup_steps + self.cooldown_steps)
        return 2 * whole if self.image.is_halved or self.text.is_halved else whole

    def check_duration(self, num_steps: int) -> None:
        """Raises OptionsError unless the schedules fit into a training of this many steps."""
        is_halved = self.image.is_halved or self.text.is_halved
        available = num_steps // 2 if is_halved else num_steps
        steps = f"the {num_steps:,} steps of training"
        steps = f"half of {steps}, which a side's schedule has" if is_halved else steps
        _check(self.warmup_steps < available, "optimizer.warmup_steps", f"< {steps}", self.warmup_steps)
        both = self.warmup_steps + self.cooldown_steps
        _check(both <= available, "optimizer.warmup_steps + cooldown_steps", f"<= {steps}", both)


def patterns(text: str) -> list[str]:
    """Returns the patterns of an option that separates them by commas."""
    return [pattern.strip() for pattern in text.split(",") if pattern.strip()]


def check_moments(options: OptimizerOptions) -> None:
    """Raises OptionsError if a kind's own `beta1`, `beta2`, `epsilon` or `momentum_type` breaks a rule."""
    for name in ("beta1", "beta2"):
        _check(0 <= getattr(options, name) < 1, f"optimizer.{name}", "in [0, 1)", getattr(options, name))
    epsilon = getattr(options, "epsilon", 1)
    _check(epsilon > 0, "optimizer.epsilon", "> 0", epsilon)
    _check_choice(getattr(options, "momentum_type"), MomentumType, "optimizer.momentum_type")  # noqa: B009 -- a kind's


def _check_choice(value: object, choices: object, where: str) -> None:
    names = typing.get_args(choices)
    _check(value in names, where, f"one of {', '.join(names)}", repr(value))


def _check(holds: bool, where: str, rule: str, value: object) -> None:
    if not holds:
        raise OptionsError(f"{where} must be {rule}, got {value}")
