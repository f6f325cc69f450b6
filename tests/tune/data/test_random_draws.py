"""Random numbers as functions: permutations, uniformity, and turns at being left out."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.tune.data import random_draws


@given(key=st.integers(0, 2**64 - 1), size=st.integers(0, 500))
def test_a_permutation_contains_each_number_once(key: int, size: int):
    order = random_draws.permutation(key, size)
    assert sorted(order.tolist()) == list(range(size))
    np.testing.assert_array_equal(order, random_draws.permutation(key, size))


def test_permutations_are_all_equally_likely():
    keys = (random_draws.make_key(7, random_draws.ROWS, epoch) for epoch in range(24_000))
    _, counts = np.unique([random_draws.permutation(key, 4) for key in keys], axis=0, return_counts=True)
    assert len(counts) == 24
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_choices_are_all_equally_likely(count: int):
    chosen = random_draws.choose(
        random_draws.make_key(7, random_draws.TEXTS, 0), np.arange(70_000), np.full(70_000, count)
    )
    counts = np.bincount(chosen, minlength=count)
    assert len(counts) == count
    if count > 1:
        assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_uses_epochs_and_seeds_have_different_keys():
    keys = {
        random_draws.make_key(seed, use, epoch, *window)
        for seed in range(5)
        for use in range(5)
        for epoch in range(5)
        for window in ((), (1,), (2,))
    }
    assert len(keys) == 5 * 5 * 5 * 3


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 200),
    share=st.floats(0, 1, exclude_max=True),
    num_epochs=st.integers(1, 30),
)
def test_rows_take_turns_at_being_left_out(seed: int, size: int, share: float, num_epochs: int):
    per_epoch = int(size * share)
    counts = np.zeros(size, int)
    for epoch in range(num_epochs):
        ranks = random_draws.left_out(seed, epoch, size, per_epoch)
        assert len(np.unique(ranks)) == per_epoch and (np.diff(ranks) > 0).all()
        counts[ranks] += 1
        assert counts.max() - counts.min() <= 1


def test_rows_that_an_epoch_leaves_out_are_spread():
    for size, per_epoch in ((1602, 66), (100_000, 5_000)):
        ranks = random_draws.left_out(3, 11, size, per_epoch)
        assert np.diff(ranks).max() <= 4 * size / per_epoch


def test_left_out_is_exact_where_products_exceed_32_bits():
    ranks = random_draws.left_out(1, 2**40, 2**32 - 5, 1_000)
    assert len(np.unique(ranks)) == 1_000 and ranks.min() >= 0 and ranks.max() < 2**32 - 5
