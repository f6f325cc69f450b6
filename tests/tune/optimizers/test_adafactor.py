"""The paper's Adafactor against NumPy, in float64 but for the momentum, which is kept in bfloat16."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.optimizers import AdafactorOptions
from lit_precompute.tune.optimizers.chain import make_optimizer

pytestmark = pytest.mark.standard_promotion  # optax adds bfloat16 to float32

NUM_STEPS = 25
# Of every rank; below and above the size from which the two largest dimensions are factored, in any order.
SHAPES = [(), (1,), (40,), (31, 64), (64, 31), (32, 32), (48, 33), (33, 48), (2, 40, 36), (40, 3, 36), (2, 40, 3, 50)]
OPTIONS = AdafactorOptions(learning_rate=1.0, clip_norm=None, schedule="constant")


def _gradients(shape):
    """Gradients of sizes that differ between steps, and sparse as those of an embedding are."""
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal(shape) * 10 ** rng.uniform(-6, 1) for _ in range(NUM_STEPS)]
    return [np.asarray(value * (rng.random(shape) < 0.8), np.float32) for value in drawn]


def _numpy_adafactor(gradients, *, rounds_product):
    shape = gradients[0].shape
    by_size = np.argsort(shape, kind="stable")
    is_factored = len(shape) >= 2 and shape[by_size[-2]] >= 32
    decay = float(ml_dtypes.bfloat16(0.9))
    assert decay == 0.8984375
    rows = columns = whole = 0.0
    momentum, updates = np.zeros(shape), []
    for t, gradient in enumerate(np.float64(gradients), start=1):
        beta2 = min(0.999, 1 - t**-0.8)
        squared = gradient**2 + 1e-30
        if is_factored:
            second, largest = by_size[-2], by_size[-1]
            rows = beta2 * rows + (1 - beta2) * squared.mean(axis=largest, keepdims=True)
            columns = beta2 * columns + (1 - beta2) * squared.mean(axis=second, keepdims=True)
            root = np.sqrt(rows * columns / rows.mean(axis=second, keepdims=True))
        else:
            whole = beta2 * whole + (1 - beta2) * squared
            root = np.sqrt(whole)
        carried = decay * momentum
        update = 0.1 * gradient / root + (_rounded(carried) if rounds_product else carried)
        momentum = _rounded(update)
        updates.append(update)
    return updates


def _rounded(values):
    return np.asarray(values, np.float32).astype(ml_dtypes.bfloat16).astype(np.float64)


# Compiled, XLA keeps the product with the momentum in float32 until the sum; step by step, it is rounded.
@pytest.mark.parametrize(
    ("shape", "compiled"), [*((shape, True) for shape in SHAPES), *((shape, False) for shape in SHAPES[4:6])], ids=str
)
def test_matches_numpy(shape, compiled):
    gradients, parameters = _gradients(shape), {"a": jnp.zeros(shape)}
    optimizer = make_optimizer(OPTIONS, NUM_STEPS)
    update = jax.jit(optimizer.update) if compiled else optimizer.update
    state, found = optimizer.init(parameters), []
    for gradient in gradients:
        updates, state = update({"a": jnp.asarray(gradient)}, state, parameters)
        found.append(-np.float64(updates["a"]))
    expected = np.stack(_numpy_adafactor(gradients, rounds_product=not compiled))
    # float32 against float64; a momentum that is rounded elsewhere is off by 4e-3.
    is_near = np.abs(np.stack(found) - expected) <= 2e-6 * np.abs(expected).max()
    # A few lie so near the middle of two bfloat16 numbers that they are rounded to the other one, for some steps.
    assert is_near.mean() > 0.999
    assert np.abs(expected).max() > 0.1


def test_the_first_step_is_a_tenth_of_the_sign():
    """The decay of squared gradients is 0 then, so that a gradient is divided by itself."""
    optimizer, start = make_optimizer(OPTIONS, 1), {"a": jnp.zeros(3)}
    updates, _ = optimizer.update({"a": jnp.array([3.0, -1e-4, 0.0])}, optimizer.init(start), start)
    np.testing.assert_allclose(updates["a"], [-0.1, 0.1, 0.0], rtol=1e-6)


@pytest.mark.parametrize("steps_before", [5_000, 10_000])
def test_decay_of_squared_gradients_stops_rising(steps_before):
    """1 - t^-.8 reaches .999 at step 5,624."""
    optimizer, start = make_optimizer(OPTIONS, 100_000), {"a": jnp.zeros(1)}
    state = jax.tree.map(
        lambda leaf: leaf + steps_before if jnp.issubdtype(leaf.dtype, jnp.integer) else leaf, optimizer.init(start)
    )
    updates, _ = optimizer.update({"a": jnp.ones(1)}, state, start)
    beta2 = min(0.999, 1 - (steps_before + 1) ** -0.8)
    assert (beta2 == 0.999) == (steps_before == 10_000)
    np.testing.assert_allclose(updates["a"], -0.1 / np.sqrt(1 - beta2), rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("beta2_exponent", 0.0, "> 0"),
        ("min_factored_size", 1, ">= 2"),
        ("epsilon", 0.0, "> 0"),
        ("beta1", 1.0, r"in \[0, 1\)"),
        ("momentum_type", "float16", "one of float32, bfloat16"),
    ],
)
def test_wrong_options_name_the_field_and_the_value(field, value, rule):
    with pytest.raises(OptionsError, match=rf"optimizer\.{field} must be {rule}, got {value!r}"):
        AdafactorOptions(**{field: value})
