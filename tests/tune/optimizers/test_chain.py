"""The optimizer against NumPy float64 and optax's own AdamW."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.optimizers.chain import make_optimizer, make_schedule

OPTIONS = AdamOptions(learning_rate=0.02, weight_decay=0.1, warmup_steps=3, clip_norm=None)


def _run(options, gradients, parameters, num_steps=10):
    optimizer = make_optimizer(options, num_steps)
    state = optimizer.init(parameters)
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return parameters


def _float64_adam(options, gradients, start, *, decayed, num_steps=10):
    """Adam with decoupled decay, written from its definition."""
    value, mean, square = start.astype(np.float64), 0.0, 0.0
    for step, gradient in enumerate(np.float64(gradients)):
        mean = options.beta1 * mean + (1 - options.beta1) * gradient
        square = options.beta2 * square + (1 - options.beta2) * gradient**2
        corrected = mean / (1 - options.beta1 ** (step + 1))
        root = np.sqrt(square / (1 - options.beta2 ** (step + 1))) + options.epsilon
        after = max(0, step - options.warmup_steps) / (num_steps - options.warmup_steps)
        factor = step / options.warmup_steps if step < options.warmup_steps else (1 + np.cos(np.pi * after)) / 2
        decay = options.weight_decay * value if decayed else 0.0
        value = value - factor * (options.learning_rate * corrected / root + decay)
    return value


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_matches_float64_numpy():
    rng = np.random.default_rng(0)
    start = {"dense": {"kernel": rng.standard_normal((4, 3)), "bias": rng.standard_normal(3)}}
    start = jax.tree.map(np.float32, start)
    gradients = [jax.tree.map(lambda v: rng.standard_normal(v.shape).astype(np.float32), start) for _ in range(10)]
    found = _run(OPTIONS, gradients, start)
    for name in ("kernel", "bias"):
        expected = _float64_adam(
            OPTIONS, [g["dense"][name] for g in gradients], start["dense"][name], decayed=name == "kernel"
        )
        np.testing.assert_allclose(found["dense"][name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_equals_adamw_where_the_two_coincide():
    """optax.adamw multiplies decay by the learning rate; big_vision does not."""
    options = AdamOptions(learning_rate=0.02, weight_decay=0.1, clip_norm=None, schedule="constant")
    start = {"kernel": jnp.ones((2, 2))}
    gradients = [{"kernel": jnp.full((2, 2), value)} for value in (0.5, -1.0, 2.0)]
    reference = optax.adamw(0.02, weight_decay=0.1 / 0.02)
    state, expected = reference.init(start), start
    for gradient in gradients:
        updates, state = reference.update(gradient, state, expected)
        expected = optax.apply_updates(expected, updates)
    np.testing.assert_allclose(_run(options, gradients, start)["kernel"], expected["kernel"], rtol=1e-6)


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_gradients_are_clipped_by_their_global_norm():
    options = AdamOptions(clip_norm=1.0, beta1=0.0, beta2=0.0, epsilon=1e3, schedule="constant", learning_rate=1.0)
    # With such an epsilon Adam's step is the gradient / 1e3, which shows the clipping.
    found = _run(options, [{"a": jnp.array([30.0]), "b": jnp.array([40.0])}], {"a": jnp.zeros(1), "b": jnp.zeros(1)})
    np.testing.assert_allclose([found["a"][0], found["b"][0]], [-0.6e-3, -0.8e-3], rtol=2e-3)


@pytest.mark.parametrize(("step", "factor"), [(0, 0.0), (5, 0.5), (10, 1.0), (60, 0.5), (110, 0.0)])
def test_schedule_warms_up_linearly_and_falls_as_a_cosine(step, factor):
    schedule = make_schedule(AdamOptions(warmup_steps=10), num_steps=110)
    np.testing.assert_allclose(schedule(step), factor, atol=1e-6)


def test_warm_up_longer_than_training_is_refused():
    with pytest.raises(ValueError, match=r"warmup_steps must be < the 5 steps"):
        make_schedule(AdamOptions(warmup_steps=5), num_steps=5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "sgd"), ("learning_rate", 0.0), ("weight_decay", -1.0), ("beta1", 1.0), ("clip_norm", 0.0)],
)
def test_wrong_options_name_the_field_and_the_value(field, value):
    with pytest.raises(ValueError, match=rf"optimizer\.{field} must be .*got {value!r}"):
        AdamOptions(**{field: value})
