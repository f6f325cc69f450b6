"""An optimizer of any kind as an optax chain.

Promises: big_vision's order and meaning: clip by global norm, scale by the optimizer, multiply by the learning rate,
add decoupled weight decay, and multiply everything by a schedule that warms up linearly from 0 to 1 and then falls.
So weight decay is multiplied by the schedule but not by the learning rate. The loss's own parameters have the base rate
and schedule and no decay. Links that options leave out are not in the chain's state, either.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lit_precompute.tune.optimizers import OptimizerOptions
from lit_precompute.tune.optimizers.averages import keep_average
from lit_precompute.tune.optimizers.decay import make_mask
from lit_precompute.tune.optimizers.schedules import make_schedule, make_side_schedules


def make_optimizer(
    options: OptimizerOptions, num_steps: int, factors: Mapping[str, float] | None = None
) -> optax.GradientTransformation:
    """Returns the whole chain; its updates are added to the parameters.

    Args:
      options: of any kind.
      num_steps: of the training.
      factors: of the updates of the text tower's parameters, by name; None: 1 for all.

    Raises:
      OptionsError: warm-up and cool-down do not fit into the training.
    """
    scaled = [] if factors is None or set(factors.values()) == {1.0} else [_scale_text(factors)]
    clip = [] if options.clip_norm is None else [optax.clip_by_global_norm(options.clip_norm)]
    rates = {name: side.rate_factor for name, side in options.sides().items()}
    decay = [optax.add_decayed_weights(options.weight_decay, mask=make_mask(options))] if options.weight_decay else []
    return optax.chain(
        *clip,
        OptimizerOptions.kinds.make(options),
        optax.scale(options.learning_rate),
        *([] if set(rates.values()) == {1.0} else [optax.stateless(lambda updates, _: _scale_sides(updates, rates))]),
        *decay,
        *scaled,
        _scale_by_schedules(make_schedule(options, num_steps), make_side_schedules(options, num_steps)),
        optax.scale(-1.0),
        *([] if options.ema_decay is None else [keep_average(options.ema_decay)]),
    )


def _scale_text(factors: Mapping[str, float]) -> optax.GradientTransformation:
    """Returns the scaling of the text tower's updates, each by its own factor."""

    def scale(updates: Any, parameters: Any = None) -> Any:
        del parameters
        return updates._replace(text={name: factors[name] * value for name, value in updates.text.items()})

    return optax.stateless(scale)


def _scale_sides(updates: Any, factors: Mapping[str, Any]) -> Any:
    """Returns updates with those of the named sides multiplied by a factor each."""
    scaled = {
        side: jax.tree.map(lambda value, factor=factor: factor * value, getattr(updates, side))
        for side, factor in factors.items()
    }
    return updates._replace(**scaled)


def _scale_by_schedules(base: optax.Schedule, sides: Mapping[str, optax.Schedule]) -> optax.GradientTransformation:
    """Returns the scaling by `base`; some sides have a schedule of their own."""
    whole = optax.scale_by_schedule(base)
    if not sides:
        return whole

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scaled: Any
        scaled, next_state = whole.update(updates, state, params)
        own = {side: jnp.float32(schedule(state.count)) for side, schedule in sides.items()}
        kept = {side: getattr(_scale_sides(updates, own), side) for side in sides}
        return scaled._replace(**kept), next_state

    return optax.GradientTransformation(whole.init, update)
