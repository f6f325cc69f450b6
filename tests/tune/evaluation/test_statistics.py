"""Intervals against SciPy's, chances against counting."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from lit_precompute.tune.evaluation.statistics import Share, chance_of_a_hit


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (10, 10), (103, 300), (1, 100_000)])
def test_the_interval_is_wilsons(right, count):
    expected = binomtest(right, count).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(Share(right=right, count=count, chance=0.1).interval, expected, atol=1e-12)


def test_without_queries_nothing_is_known():
    share = Share(right=0, count=0, chance=0.1)
    assert np.isnan(share.value)
    assert share.interval == (0.0, 1.0)


@pytest.mark.parametrize(("num_items", "num_right", "k"), [(6, 1, 1), (6, 2, 3), (6, 6, 1), (5, 0, 3), (4, 1, 9)])
def test_chance_is_the_share_of_draws_that_hit(num_items, num_right, k):
    draws = list(itertools.combinations(range(num_items), min(k, num_items)))
    hits = sum(any(item < num_right for item in draw) for draw in draws) / len(draws)
    assert chance_of_a_hit(num_items, num_right, k) == pytest.approx(hits if num_right else 0.0)
