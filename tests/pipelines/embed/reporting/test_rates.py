"""Rates and signs of life, from what workers leave, with times that are known."""

import pytest

from lit_precompute.pipelines.embed.directory.attempts import FoundAttempt
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.reporting.rates import ALIVE_S, measure
from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitReport, UnitSeconds
from lit_precompute.schemas import Environment, ShardInfo

_MACHINE = Machine(device="cpu", num_devices=1, cores=2, decode_in="threads", decode_workers=2)


def _marker(shard, began, ended, num_rows=100, worker="a"):
    info = ShardInfo(
        shard=shard,
        rows_read=num_rows,
        num_rows=num_rows,
        num_failures=0,
        files={},
        environment=Environment(device="cpu", libraries={}),
    )
    report = UnitReport(
        launch="second", worker=worker, attempt=1, began=began, ended=ended, seconds=UnitSeconds(), bytes_read=0,
        bytes_written=0, num_retried=0, machine=_MACHINE,
    )  # fmt: skip
    return ShardMarker(info=info, probes=[], reasons={}, report=report)


def test_rows_of_finished_units_and_of_those_in_progress_count():
    """Workers a and b: 100 rows in 100 s each, then b half of its next unit; long before, another launch."""
    markers = [_marker(0, 100.0, 200.0), _marker(1, 10_000.0, 10_100.0), _marker(2, 10_000.0, 10_100.0, worker="b")]
    attempts = {3: FoundAttempt(1, worker="b", began=10_100.0, last_sign=10_150.0, num_rows=50)}
    launches = {"first": {"began": 90.0}, "second": {"began": 9_950.0}}
    rates = measure(markers, attempts, launches, now=10_160.0)
    assert (rates.began, rates.last_sign) == (9_950.0, 10_150.0)
    assert rates.num_workers == 2
    assert rates.rows_in_progress == 50
    assert rates.rows_per_second == rates.recent_rows_per_second == pytest.approx((100 + 100 + 50) / 200)


def test_the_recent_rate_is_that_of_the_last_five_minutes():
    """A slow hour, then ten rows a second."""
    markers = [_marker(0, 0.0, 3_600.0, num_rows=360), _marker(1, 3_600.0, 4_000.0, num_rows=4_000)]
    rates = measure(markers, {}, {"second": {"began": 0.0}}, now=4_001.0)
    assert rates.recent_rows_per_second == pytest.approx(10)
    assert rates.rows_per_second == pytest.approx(4_360 / 4_000)


def test_nothing_counts_as_alive_that_was_silent_for_long_or_has_failed():
    now = 10_000.0
    attempts = {
        1: FoundAttempt(1, worker="silent", began=0.0, last_sign=now - ALIVE_S - 1, num_rows=7),
        2: FoundAttempt(3, error="the disk is full", worker="failed", began=now - 2, last_sign=now - 1),
        3: FoundAttempt(1, worker="alive", began=now - 9, last_sign=now - 9),
    }
    rates = measure([], attempts, {}, now)
    assert rates.num_workers == 1
    assert rates.last_sign == now - 9
    assert rates.rows_in_progress == 0


def test_nothing_is_known_of_a_job_that_has_not_begun():
    assert measure([], {}, {}, now=1.0)[:5] == (None, None, 0, None, None)
