"""A moving average of the parameters, as the last link of an optimizer's chain.

Promises: after n steps the average is that of the parameters after the steps 1 to n, with weights that fall by `decay`
for each step back and sum to 1. The start values have no share: the average is divided by the sum of its weights, as
Adam's means are, so that a random start does not hold back the average of a short training.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float32

Parameters = TypeVar("Parameters")


class AverageState(NamedTuple):
    """A moving average.

    Attributes:
      weight: sum of the weights, from 0 at the start towards 1.
      total: the parameters' weighted sums.
    """

    weight: Float32[Array, ""]
    total: Any


def keep_average(decay: float) -> optax.GradientTransformation:
    """Returns a link that leaves updates as they are and averages the parameters that they lead to."""
    rate = 1 - decay

    def init(params: Any) -> Any:
        return AverageState(jnp.float32(0), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # As a step towards the new value, since `decay` and 1 - `decay` rounded to float32 do not sum to 1.
        new = AverageState(jnp.float32(1), optax.apply_updates(params, updates))
        return updates, jax.tree.map(lambda old, value: old + rate * (value - old), state, new)

    return optax.GradientTransformation(init, update)


def averaged(state: Any, parameters: Parameters) -> Parameters:
    """Returns the average that a chain's state holds after at least one step; without one, the parameters themselves.

    Args:
      state: of the chain, whose updates led to the parameters.
      parameters: the current ones.
    """
    (*_, last) = state
    if not isinstance(last, AverageState):
        return parameters
    return jax.tree.map(lambda total: total / last.weight, last.total)
