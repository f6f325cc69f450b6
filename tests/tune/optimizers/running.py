"""Runs an optimizer over given gradients."""

import jax
import numpy as np
import optax

from lit_precompute.tune.optimizers.chain import make_optimizer


def run(options, gradients, parameters, num_steps=None, factors=None):
    """Returns the parameters after each step, and the optimizer's last state."""
    optimizer = make_optimizer(options, num_steps or len(gradients), factors)
    update, state, after = jax.jit(optimizer.update), optimizer.init(parameters), []
    for gradient in gradients:
        updates, state = update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        after.append(parameters)
    return after, state


def draw_gradients(parameters, num_steps, seed=0):
    """Returns standard normal gradients for each step."""
    rng = np.random.default_rng(seed)
    return [
        jax.tree.map(lambda value: rng.standard_normal(value.shape).astype(np.float32), parameters)
        for _ in range(num_steps)
    ]
