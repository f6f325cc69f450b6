"""Dropout: its rate, its expectation, and what it depends on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.dropout import Dropout, drop, row_keys

NUM_ROWS = 400


def _keys(seed=0):
    return row_keys(jax.random.key(seed), NUM_ROWS)


@pytest.mark.parametrize(("rate", "shape"), [(0.1, (2, 5, 9)), (0.5, (50,)), (0.9, (3, 40))])
def test_the_share_is_the_rate_and_the_expectation_is_kept(rate, shape):
    values = jax.random.normal(jax.random.key(1), (NUM_ROWS, *shape)) + 3
    found = jax.jit(lambda values: drop(values, rate, _keys(), 1))(values)
    is_dropped = np.asarray(found == 0)
    deviation = (rate * (1 - rate) / is_dropped.size) ** 0.5
    assert abs(is_dropped.mean() - rate) < 4 * deviation
    # At every position over the rows, too: no value of a layer is spared.
    assert np.abs(is_dropped.mean(axis=0) - rate).max() < 5 * (rate * (1 - rate) / NUM_ROWS) ** 0.5
    np.testing.assert_allclose(found[~is_dropped], values[~is_dropped] / (1 - rate), rtol=1e-6)
    assert abs(float(found.mean() / values.mean()) - 1) < 5 * deviation / (1 - rate)


def test_no_keys_and_rate_0_leave_the_values_alone():
    values = jnp.ones((NUM_ROWS, 3))
    assert drop(values, 0.5, None, 1) is values
    assert drop(values, 0.0, _keys(), 1) is values
    assert not Dropout(0.5, None).is_active and not Dropout(0.0, _keys()).is_active


def test_places_and_rows_and_keys_drop_different_values():
    values, dropout = jnp.ones((NUM_ROWS, 64)), Dropout(0.5, _keys())
    masks = [np.asarray(dropout(values) == 0) for _ in range(3)]
    masks.append(np.asarray(Dropout(0.5, _keys(seed=1))(values) == 0))
    rows = np.concatenate(masks)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_a_row_drops_the_same_whatever_the_others_are():
    values = jnp.ones((NUM_ROWS, 4, 16))
    whole, part = Dropout(0.5, _keys()), Dropout(0.5, _keys()[7:9])
    for _ in range(3):
        np.testing.assert_array_equal(whole(values)[7:9], part(values[7:9]))
