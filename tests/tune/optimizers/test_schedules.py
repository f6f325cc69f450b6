"""Schedules against their definitions in float64: big_vision's, and those of the paper's appendix F."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.optimizers import AdamOptions, SideRateOptions
from lit_precompute.tune.optimizers.schedules import learning_rates, make_schedule, make_side_schedules

pytestmark = pytest.mark.standard_promotion  # optax's schedules mix types

STEPS = np.arange(101)


def _values(schedule):
    return np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(101)))


def _float64(kind, num_steps, warmup, cooldown=0, timescale=1, steps=STEPS):
    """The factors by big_vision's definition, in float64."""
    progress = np.clip((steps - warmup) / (num_steps - warmup), 0, 1)
    after = {
        "cosine": (1 + np.cos(np.pi * progress)) / 2,
        "linear": 1 - progress,
        "constant": np.ones(len(steps)),
        "rsqrt": 1 / np.sqrt(1 + np.maximum(steps - warmup, 0) / timescale),
    }[kind]
    if warmup:
        after = after * np.minimum(1, steps / warmup)
    if cooldown:
        after = after * np.clip((num_steps - steps) / cooldown, 0, 1)
    return after


@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize(
    ("kind", "cooldown"),
    [("cosine", 0), ("linear", 0), ("constant", 0), ("constant", 20), ("rsqrt", 0), ("rsqrt", 20), ("rsqrt", 90)],
)
def test_matches_float64_numpy(kind, cooldown, warmup):
    options = AdamOptions(schedule=kind, warmup_steps=warmup, cooldown_steps=cooldown, timescale_steps=30)
    expected = _float64(kind, 100, warmup, cooldown, timescale=30)
    np.testing.assert_allclose(_values(make_schedule(options, 100)), expected, atol=2e-7)


def test_reverse_square_root_halves_the_square_after_its_timescale():
    schedule = make_schedule(AdamOptions(schedule="rsqrt", warmup_steps=7, timescale_steps=50), 100)
    np.testing.assert_allclose([schedule(7), schedule(57)], [1, 0.5**0.5], rtol=1e-6)


def _sides(image, text, num_steps=100, **options):
    made = AdamOptions(
        warmup_steps=10, image=SideRateOptions(schedule=image), text=SideRateOptions(schedule=text), **options
    )
    return {name: _values(schedule) for name, schedule in make_side_schedules(made, num_steps).items()}


def test_a_side_without_a_schedule_of_its_own_is_not_there():
    assert _sides("same", "same") == {}


@pytest.mark.parametrize("num_steps", [100, 99])
def test_delay_is_nothing_and_then_a_whole_schedule(num_steps):
    """Of 99 steps, the first half has 49."""
    middle = num_steps // 2
    second = _float64("cosine", num_steps - middle, 10, steps=STEPS - middle)
    expected = np.where(middle <= STEPS, second, 0)
    np.testing.assert_allclose(_sides("delay", "same", num_steps)["image"], expected, atol=2e-7)
    np.testing.assert_allclose(_sides("same", "delay", num_steps)["text"], expected, atol=2e-7)


def test_sigmoid_multiplies_the_base_schedule():
    expected = _float64("cosine", 100, 10) / (1 + np.exp(-12 * (STEPS / 100 - 0.5)))
    np.testing.assert_allclose(_sides("sigmoid", "same")["image"], expected, atol=2e-7)


def test_two_cycles_freeze_the_image_side_and_then_the_text_side():
    sides = _sides("two-cycles", "two-cycles", schedule="linear")
    first = np.where(STEPS < 50, _float64("linear", 50, 10), 0)
    np.testing.assert_allclose(sides["text"], first, atol=2e-7)
    np.testing.assert_allclose(sides["image"], [0] * 50 + list(first[:50]) + [0], atol=2e-7)
    # Never both, and together the whole training but for the two starts from 0.
    assert not ((sides["text"] > 0) & (sides["image"] > 0)).any()
    assert (sides["text"] + sides["image"] > 0)[:100].sum() == 98


def test_metrics_have_the_rates_of_sides_that_have_their_own():
    options = AdamOptions(learning_rate=0.01, image=SideRateOptions(rate_factor=0.1, schedule="delay"))
    rates = [learning_rates(options, 100, jnp.int32(step)) for step in (0, 50, 75)]
    assert all(each.keys() == {"image_learning_rate"} for each in rates)
    found = [each["image_learning_rate"] for each in rates]
    np.testing.assert_allclose(found, [0, 0.001, 0.0005], rtol=1e-6, atol=1e-10)
    assert learning_rates(AdamOptions(), 100, jnp.int32(0)) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schedule": "step"}, r"optimizer\.schedule must be one of cosine, linear, constant, rsqrt, got 'step'"),
        (
            {"cooldown_steps": 5},
            r"optimizer\.cooldown_steps must be 0 where optimizer\.schedule is cosine, which ends at 0 .*, got 5",
        ),
        ({"timescale_steps": 0}, r"optimizer\.timescale_steps must be > 0, got 0"),
        ({"image": SideRateOptions(rate_factor=0.0)}, r"optimizer\.image\.rate_factor must be > 0, got 0\.0"),
        (
            {"text": SideRateOptions(schedule="late")},  # type: ignore[arg-type]
            r"optimizer\.text\.schedule must be one of same, delay, sigmoid, two-cycles, got 'late'",
        ),
        (
            {"image": SideRateOptions(schedule="two-cycles")},
            r"must both be two-cycles, or neither.*; got two-cycles and same",
        ),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(OptionsError, match=words):
        AdamOptions(**options)


@pytest.mark.parametrize(
    ("options", "shortest"),
    [
        ({}, 1),
        ({"warmup_steps": 4}, 5),
        ({"warmup_steps": 4, "schedule": "constant", "cooldown_steps": 3}, 7),
        ({"warmup_steps": 4, "image": SideRateOptions(schedule="delay")}, 10),
        ({"warmup_steps": 4, "schedule": "rsqrt", "cooldown_steps": 3, "text": SideRateOptions(schedule="delay")}, 14),
        ({"warmup_steps": 4, "text": SideRateOptions(schedule="sigmoid")}, 5),
    ],
)
def test_a_training_has_room_for_its_schedules(options, shortest):
    made = AdamOptions(**options)
    assert made.min_num_steps() == shortest
    make_schedule(made, shortest)
    rule = r"optimizer\.warmup_steps( \+ cooldown_steps)? must be <=? (half of )?the \d+ steps of training"
    with pytest.raises(OptionsError, match=rule):
        make_schedule(made, shortest - 1)
