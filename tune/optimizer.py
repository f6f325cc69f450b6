"""Optimisers: options as data, made into optax chains.

Promises: the order and meaning of big_vision's: clip by global norm, scale by the optimiser, multiply by the learning
rate, add decoupled weight decay, multiply all by a schedule that starts at 0, warms up linearly to 1 and falls to 0.
Weight decay is thus times the schedule but not times the learning rate, and applies to matrices ("kernel") alone.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """What trains the parameters.

    Attributes:
      name: a name in `OPTIMIZERS`.
      learning_rate: at the schedule's peak.
      weight_decay: share of a kernel removed per step at the schedule's peak; not times the learning rate.
      beta1: decay of the gradients' running mean.
      beta2: decay of the squared gradients' running mean.
      epsilon: added to the root of the latter.
      clip_norm: largest global norm of the gradients; None leaves them.
      warmup_steps: steps of linear warm-up.
      schedule: after the warm-up, `cosine` to 0 at the last step, or `constant`.
    """

    name: Literal["adam"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self):
        if self.name not in OPTIMIZERS:
            raise ValueError(f"optimizer.name must be one of {sorted(OPTIMIZERS)}, got {self.name!r}")
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


def _adam(options: OptimizerOptions) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=options.beta1, b2=options.beta2, eps=options.epsilon)


# The place of further optimisers: a name and what scales the gradients.
OPTIMIZERS: dict[str, Callable[[OptimizerOptions], optax.GradientTransformation]] = {"adam": _adam}


def make_schedule(options: OptimizerOptions, num_steps: int) -> optax.Schedule:
    """Returns the factor of a step's update, by step from 0: warm-up to 1, then down to 0 at `num_steps`.

    Raises:
      ValueError: the warm-up is as long as the training.
    """
    if options.warmup_steps >= num_steps:
        raise ValueError(
            f"optimizer.warmup_steps must be < the {num_steps} steps of training, got {options.warmup_steps}"
        )
    warm_up = optax.linear_schedule(0.0, 1.0, options.warmup_steps) if options.warmup_steps else None
    after = (
        optax.cosine_decay_schedule(1.0, num_steps - options.warmup_steps)
        if options.schedule == "cosine"
        else optax.constant_schedule(1.0)
    )
    return after if warm_up is None else optax.join_schedules([warm_up, after], [options.warmup_steps])


def make_optimizer(options: OptimizerOptions, num_steps: int) -> optax.GradientTransformation:
    """Returns the whole chain; its updates are to be added to the parameters."""
    clip = [] if options.clip_norm is None else [optax.clip_by_global_norm(options.clip_norm)]
    decay = [optax.add_decayed_weights(options.weight_decay, mask=decayed)] if options.weight_decay else []
    return optax.chain(
        *clip,
        OPTIMIZERS[options.name](options),
        optax.scale(options.learning_rate),
        *decay,
        optax.scale_by_schedule(make_schedule(options, num_steps)),
        optax.scale(-1.0),
    )


def decayed(parameters: Any) -> Any:
    """Returns, for each parameter, whether weight decay applies to it: its path names a kernel."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: any(getattr(part, "key", getattr(part, "name", None)) == "kernel" for part in path), parameters
    )
