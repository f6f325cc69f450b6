"""An optimizer of any kind as an optax chain.

Promises: big_vision's order and meaning: clip by global norm, scale by the optimizer, multiply by the learning rate,
add decoupled weight decay, and multiply everything by a schedule that warms up linearly from 0 to 1 and falls to 0.
So weight decay is multiplied by the schedule but not by the learning rate, and it applies only to matrices ("kernel").
"""

from collections.abc import Mapping
from typing import Any

import jax
import optax

from lit_precompute.tune.optimizers import OptimizerOptions


def make_schedule(options: OptimizerOptions, num_steps: int) -> optax.Schedule:
    """Returns the factor of an update by its step, from 0: warm-up to 1, then `schedule` until `num_steps`.

    Raises:
      ValueError: the warm-up is not shorter than the training.
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


def make_optimizer(
    options: OptimizerOptions, num_steps: int, factors: Mapping[str, float] | None = None
) -> optax.GradientTransformation:
    """Returns the whole chain; its updates are added to the parameters.

    Args:
      options: of any kind.
      num_steps: of the training.
      factors: of the updates of the text tower's parameters, by name; None: 1 for all.
    """
    scaled = [] if factors is None or set(factors.values()) == {1.0} else [_scale_each(factors)]
    clip = [] if options.clip_norm is None else [optax.clip_by_global_norm(options.clip_norm)]
    decay = [optax.add_decayed_weights(options.weight_decay, mask=decayed)] if options.weight_decay else []
    return optax.chain(
        *clip,
        OptimizerOptions.kinds.make(options),
        optax.scale(options.learning_rate),
        *decay,
        *scaled,
        optax.scale_by_schedule(make_schedule(options, num_steps)),
        optax.scale(-1.0),
    )


def _scale_each(factors: Mapping[str, float]) -> optax.GradientTransformation:
    """Returns the scaling of the text tower's updates, each by its own factor."""

    def scale(updates: Any, parameters: Any = None) -> Any:
        del parameters
        return updates._replace(text={name: factors[name] * value for name, value in updates.text.items()})

    return optax.stateless(scale)


def decayed(parameters: Any) -> Any:
    """Returns, for each parameter, whether weight decay applies to it: the last part of its name is `kernel`."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: str(getattr(path[-1], "key", "")).rpartition("/")[2] == "kernel", parameters
    )
