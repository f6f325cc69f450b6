"""Intervals against SciPy's, chances against counting."""

import itertools

import hypothesis
import hypothesis.strategies
import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from lit_precompute.tune.evaluation.statistics import Share, chance_of_a_hit, mean_interval, percent


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (10, 10), (103, 300), (1, 100_000)])
def test_the_interval_is_wilsons(right, count):
    expected = binomtest(right, count).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(Share(right=right, count=count, chance=0.1).interval, expected, atol=1e-12)


def test_without_queries_nothing_is_known():
    share = Share(right=0, count=0, chance=0.1)
    assert np.isnan(share.value)
    assert share.interval == (0.0, 1.0)
    assert share.to_json()["value"] is None  # JSON has no NaN
    assert percent(share.value) == "n/a"


@pytest.mark.parametrize("count", [1, 3, 7, 300, 8_118])
def test_bounds_at_the_ends_are_exact(count):
    """A bound of 1e-19 would be printed with all its digits."""
    assert Share(right=0, count=count, chance=0.1).interval[0] == 0.0
    assert Share(right=count, count=count, chance=0.1).interval[1] == 1.0


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1 / 8_118, "0.012%"),
        (5 / 8_118, "0.062%"),
        (10 / 8_118, "0.12%"),
        (8_117 / 8_118, "99.988%"),
        (0.009999, "1.0%"),
        (0.05, "5.0%"),
        (0.4267, "42.7%"),
        (0.9, "90.0%"),
        (0.0, "0.0%"),
        (1.0, "100.0%"),
    ],
)
def test_a_share_has_the_digits_it_needs(share, expected):
    assert percent(share) == expected


@hypothesis.given(hypothesis.strategies.integers(1, 10**9), hypothesis.strategies.integers(0, 10**9))
def test_only_none_and_all_are_0_and_100_percent(count, right):
    right = min(right, count)
    assert (float(percent(right / count)[:-1]) == 0.0) == (right == 0)
    assert (float(percent(right / count)[:-1]) == 100.0) == (right == count)


@pytest.mark.parametrize(("num_items", "num_right", "k"), [(6, 1, 1), (6, 2, 3), (6, 6, 1), (5, 0, 3), (4, 1, 9)])
def test_chance_is_the_share_of_draws_that_hit(num_items, num_right, k):
    draws = list(itertools.combinations(range(num_items), min(k, num_items)))
    hits = sum(any(item < num_right for item in draw) for draw in draws) / len(draws)
    assert chance_of_a_hit(num_items, num_right, k) == pytest.approx(hits if num_right else 0.0)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 11, 100, 1_001])
def test_the_interval_of_a_mean_is_students(count):
    values = np.random.default_rng(count).normal(3, 2, count)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean_interval(values.tolist()), expected, rtol=1e-9)


def test_one_value_says_nothing_of_its_mean():
    assert mean_interval([3.0]) == (-np.inf, np.inf)
    assert mean_interval([3.0, 3.0]) == (3.0, 3.0)
