"""Lion, and momentum in bfloat16, against optax's own optimizers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lit_precompute.tune.optimizers import AdamOptions, LionOptions
from tests.tune.optimizers.running import draw_gradients, run

pytestmark = pytest.mark.standard_promotion  # optax mixes types

RATE, DECAY, NUM_STEPS = 0.02, 0.1, 20
SHARED = {"learning_rate": RATE, "weight_decay": DECAY, "clip_norm": None, "schedule": "constant"}
START = {"kernel": jnp.ones((4, 3)), "other/kernel": jnp.full((2, 2, 5), -2.0)}


def _run_optax(reference, gradients):
    parameters, state = START, reference.init(START)
    update = jax.jit(reference.update)  # XLA rounds a momentum in bfloat16 elsewhere where nothing is compiled
    for gradient in gradients:
        updates, state = update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return parameters


@pytest.mark.parametrize("momentum_type", ["float32", "bfloat16"])
@pytest.mark.parametrize(("options", "reference"), [(LionOptions, optax.lion), (AdamOptions, optax.adamw)])
def test_equals_optax(options, reference, momentum_type):
    """optax multiplies decay by the learning rate; big_vision does not."""
    gradients = draw_gradients(START, NUM_STEPS)
    after, _ = run(options(**SHARED, momentum_type=momentum_type), gradients, START)
    expected = _run_optax(reference(RATE, weight_decay=DECAY / RATE, mu_dtype=momentum_type), gradients)
    for name, value in expected.items():
        np.testing.assert_allclose(after[-1][name], value, rtol=1e-5, atol=1e-6)


def test_lion_matches_its_algorithm():
    """arXiv:2302.06675, algorithm 2, in float64; decay is not multiplied by the rate here."""
    gradients = draw_gradients({"kernel": START["kernel"]}, NUM_STEPS)
    after, _ = run(LionOptions(**SHARED), gradients, {"kernel": START["kernel"]})
    value, mean = np.ones((4, 3)), np.zeros((4, 3))
    for gradient, found in zip(gradients, after, strict=True):
        gradient = np.float64(gradient["kernel"])  # noqa: PLW2901 -- the same one
        value = value - RATE * np.sign(0.9 * mean + 0.1 * gradient) - DECAY * value
        mean = 0.99 * mean + 0.01 * gradient
        np.testing.assert_allclose(found["kernel"], value, rtol=1e-5, atol=1e-6)
