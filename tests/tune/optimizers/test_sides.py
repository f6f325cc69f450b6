"""What an optimizer does to each side: rates, schedules, decay, and the loss's own parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lit_precompute.tune.model.sides import TrainedParameters
from lit_precompute.tune.optimizers import AdamOptions, SideRateOptions
from lit_precompute.tune.optimizers.averages import averaged
from lit_precompute.tune.optimizers.chain import make_optimizer
from tests.tune.optimizers.running import draw_gradients, run

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it

START = TrainedParameters(
    image={"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)},
    loss={"log_scale": jnp.float32(2.0)},
    text={
        "token_embedding/embedding": jnp.ones((5, 2)),
        "blocks/0/out/kernel": jnp.ones((2, 2)),
        "blocks/0/out/bias": jnp.ones(2),
        "head/kernel": jnp.ones((2, 2)),
    },
)
NUM_STEPS = 20
BASE = {"learning_rate": 0.05, "clip_norm": None, "warmup_steps": 2}


def _assert_equal(found, expected, rtol=0.0):
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=rtol), found, expected)


def _adam_alone(side, gradients, factor, schedule):
    """One side trained by optax alone, with a rate of its own."""
    reference = optax.adam(lambda step: 0.05 * factor * schedule(step))
    parameters, state, after = side, reference.init(side), []
    update = jax.jit(reference.update)
    for gradient in gradients:
        updates, state = update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        after.append(parameters)
    return after


@pytest.mark.parametrize("own", ["delay", "same", "sigmoid"])
@pytest.mark.parametrize("side", ["image", "text"])
def test_a_side_is_trained_as_by_itself_and_the_others_at_the_base_rate(side, own):
    """Against optax, one optimizer for each side."""
    gradients = draw_gradients(START, NUM_STEPS)
    after, _ = run(AdamOptions(**BASE, **{side: SideRateOptions(rate_factor=0.1, schedule=own)}), gradients, START)
    base = optax.join_schedules([optax.linear_schedule(0, 1, 2), optax.cosine_decay_schedule(1, 18)], [2])
    second = optax.join_schedules([optax.linear_schedule(0, 1, 2), optax.cosine_decay_schedule(1, 8)], [2])
    schedules = {
        "same": base,
        "delay": lambda step: jnp.where(step < 10, 0.0, second(step - 10)),
        "sigmoid": lambda step: base(step) / (1 + jnp.exp(-12 * (step / 20 - 0.5))),
    }
    for name in START._fields:
        factor, schedule = (0.1, schedules[own]) if name == side else (1.0, base)
        expected = _adam_alone(getattr(START, name), [getattr(each, name) for each in gradients], factor, schedule)
        _assert_equal([getattr(each, name) for each in after], expected, rtol=2e-5)


def test_a_frozen_side_does_not_decay_either():
    """Two cycles: the image side stands still in the first half, the text side in the second."""
    both = SideRateOptions(schedule="two-cycles")
    options = AdamOptions(**BASE, weight_decay=0.01, decayed="*", image=both, text=both)
    after, _ = run(options, draw_gradients(START, NUM_STEPS), START)
    _assert_equal(after[9].image, START.image)
    _assert_equal(after[-1].text, after[9].text)
    for one, other in ((after[-1].image, START.image), (after[9].text, START.text)):
        assert all((one[name] != other[name]).any() for name in one)


def test_a_rate_factor_does_not_multiply_decay():
    """As in big_vision, where the factors of rates come before decay."""
    options = AdamOptions(**BASE, schedule="constant", weight_decay=0.01, image=SideRateOptions(rate_factor=0.1))
    nothing = [jax.tree.map(jnp.zeros_like, START)] * 3
    after, _ = run(options, nothing, START)
    np.testing.assert_allclose(after[-1].image["kernel"], 0.995 * 0.99, rtol=1e-6)  # the second of three steps is half


@pytest.mark.parametrize(
    ("decayed", "spared", "expected"),
    [
        (None, "", {"kernel", "blocks/0/out/kernel", "head/kernel"}),
        ("*", "", {"kernel", "bias", *START.text}),
        ("*", "token_embedding/*, *bias", {"kernel", "blocks/0/out/kernel", "head/kernel"}),
        ("head/*", "", {"head/kernel"}),
        ("*kernel", "blocks/*", {"kernel", "head/kernel"}),
    ],
)
def test_what_fits_the_patterns_decays_and_the_loss_never(decayed, spared, expected):
    given = {} if decayed is None else {"decayed": decayed}
    options = AdamOptions(learning_rate=0.05, weight_decay=0.1, not_decayed=spared, schedule="constant", **given)
    nothing = [jax.tree.map(jnp.zeros_like, START)]
    (after,), _ = run(options, nothing, START)
    changed = {name for side in (after.image, after.text) for name, value in side.items() if (value != 1).any()}
    assert changed == expected
    assert after.loss["log_scale"] == 2


@pytest.mark.parametrize(("field", "pattern"), [("decayed", "blocks/9/*"), ("not_decayed", "Head/*")])
def test_a_pattern_that_fits_nothing_is_refused(field, pattern):
    optimizer = make_optimizer(AdamOptions(weight_decay=0.1, **{field: f"*kernel,{pattern}"}), 10)
    with pytest.raises(
        ValueError, match=rf"optimizer\.{field}: '{pattern[:4]}.*' fits none of the 7 parameters .*: bi"
    ):
        optimizer.init(START)


@pytest.mark.parametrize("decay", [0.9, 0.9999])
def test_the_average_equals_optax(decay):
    """`optax.ema` with its correction, fed with the parameters after each step."""
    after, state = run(AdamOptions(**BASE, ema_decay=decay), draw_gradients(START, NUM_STEPS), START)
    reference = optax.ema(decay, debias=True)
    reference_state, expected = reference.init(START), None
    for parameters in after:
        expected, reference_state = reference.update(parameters, reference_state)
    # In float32, optax's 0.9999 and 1 - 0.9999 sum to 1.000000017.
    _assert_equal(averaged(state, after[-1]), expected, rtol=3e-4 if decay == 0.9999 else 1e-5)


def test_the_average_matches_float64_numpy():
    decay = 0.9999
    after, state = run(AdamOptions(**BASE, ema_decay=decay), draw_gradients(START, NUM_STEPS), START)
    weights = decay ** np.arange(NUM_STEPS - 1, -1, -1.0)
    kernels = np.float64([each.text["head/kernel"] for each in after])
    expected = np.tensordot(weights / weights.sum(), kernels, axes=1)
    np.testing.assert_allclose(averaged(state, after[-1]).text["head/kernel"], expected, rtol=1e-6)


def test_averaging_changes_no_parameter():
    gradients = draw_gradients(START, NUM_STEPS)
    with_average, state = run(AdamOptions(**BASE, ema_decay=0.9), gradients, START)
    without, other = run(AdamOptions(**BASE), gradients, START)
    _assert_equal(with_average, without)
    assert averaged(other, without[-1]) is without[-1]
    assert (averaged(state, without[-1]).text["head/kernel"] != without[-1].text["head/kernel"]).any()
