"""Rates over the last steps, by a clock that the test moves."""

import pytest

from lit_precompute.tune.training.rates import Rates


def test_rates_are_means_over_the_last_fifty_steps():
    now_s = [0.0]
    rates = Rates(16, clock=lambda: now_s[0])
    for _ in range(60):  # a second each, a quarter of it waiting
        now_s[0] += 1.0
        rates.waited(0.25)
        found = rates.step_done()
    assert found == {"pairs_per_second": 16.0, "waiting_share": 0.25}
    for _ in range(25):
        now_s[0] += 1.0
        found = rates.step_done()
    assert found["waiting_share"] == pytest.approx(0.125)
    for _ in range(25):
        now_s[0] += 0.5
        found = rates.step_done()
    assert found == {"pairs_per_second": pytest.approx(50 * 16 / 37.5), "waiting_share": 0.0}


def test_the_first_step_counts_from_the_start():
    now_s = [10.0]
    rates = Rates(8, clock=lambda: now_s[0])
    now_s[0] += 2.0
    rates.waited(1.5)
    assert rates.step_done() == {"pairs_per_second": 4.0, "waiting_share": 0.75}


def test_time_that_is_skipped_does_not_count():
    now_s = [0.0]
    rates = Rates(8, clock=lambda: now_s[0])
    for _ in range(4):
        now_s[0] += 5.0
        rates.skip(4.0)
        found = rates.step_done()
    assert found["pairs_per_second"] == 8.0
