"""Learning rates over the steps of a training, as factors of the base rate.

Promises: big_vision's schedules, a linear warm-up from 0 to 1 and then a fall that counts from its end; and those of
appendix F, for one side alone. A factor is a function of the step: the number of steps done before. It may be traced.

The paper shows appendix F's schedules in a figure, without numbers. As read here, a halved schedule is the whole one,
warm-up and all, within its half, and the sigmoid is 1/2 in the middle of the training, with an argument of 6 at its
end.

Source: big_vision, utils.py (`create_learning_rate_schedule`); arXiv:2111.07991, appendix F and figure 11.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float32, Int32

from lit_precompute.tune.optimizers.options import OptimizerOptions, SideRateOptions, SideSchedule

# The sigmoid's argument goes from -6 to 6.
_SIGMOID_RANGE = 12.0


def make_schedule(options: OptimizerOptions, num_steps: int) -> optax.Schedule:
    """Returns the factor of an update by its step, from 0: warm-up to 1, then `schedule` until `num_steps`.

    Raises:
      OptionsError: warm-up and cool-down do not fit into the training.
    """
    options.check_duration(num_steps)
    return _whole(options, num_steps)


def make_side_schedules(options: OptimizerOptions, num_steps: int) -> dict[str, optax.Schedule]:
    """Returns `make_schedule` for the sides that have a schedule of their own, by their names: `image`, `text`."""
    return {
        name: _of_side(options, side.schedule, num_steps, is_first=name == "text")
        for name, side in options.sides().items()
        if side.schedule != "same"
    }


def learning_rates(options: OptimizerOptions, num_steps: int, step: Int32[Array, ""]) -> dict[str, Float32[Array, ""]]:
    """Returns the learning rates of the sides whose options are not the default, as metrics by name."""
    schedules = make_side_schedules(options, num_steps)
    base = make_schedule(options, num_steps)
    return {
        f"{name}_learning_rate": jnp.float32(options.learning_rate * side.rate_factor * schedules.get(name, base)(step))
        for name, side in options.sides().items()
        if side != SideRateOptions()
    }


def _whole(options: OptimizerOptions, num_steps: int) -> optax.Schedule:
    warm_up = optax.linear_schedule(0.0, 1.0, options.warmup_steps) if options.warmup_steps else None
    after = _after_warm_up(options, num_steps - options.warmup_steps)
    joined = after if warm_up is None else optax.join_schedules([warm_up, after], [options.warmup_steps])
    if not options.cooldown_steps:
        return joined
    return lambda step: joined(step) * jnp.clip((num_steps - step) / options.cooldown_steps, 0.0, 1.0)


def _after_warm_up(options: OptimizerOptions, num_steps: int) -> optax.Schedule:
    match options.schedule:
        case "cosine":
            return optax.cosine_decay_schedule(1.0, num_steps)
        case "linear":
            return optax.linear_schedule(1.0, 0.0, num_steps)
        case "rsqrt":
            return lambda step: jax.lax.rsqrt(1.0 + jnp.maximum(step, 0) / options.timescale_steps)
        case "constant":
            return optax.constant_schedule(1.0)


def _of_side(options: OptimizerOptions, kind: SideSchedule, num_steps: int, *, is_first: bool) -> optax.Schedule:
    """Returns a side's own schedule; `is_first`: of two cycles, it has the first."""
    if kind == "sigmoid":
        base = make_schedule(options, num_steps)
        return lambda step: base(step) * jax.nn.sigmoid(_SIGMOID_RANGE * (step / num_steps - 0.5))
    middle = num_steps // 2
    if kind == "two-cycles" and is_first:
        half = _whole(options, middle)
        return lambda step: jnp.where(jnp.less(step, middle), half(step), 0.0)
    half = _whole(options, num_steps - middle)
    return lambda step: jnp.where(jnp.less(step, middle), 0.0, half(jnp.maximum(step - middle, 0)))
