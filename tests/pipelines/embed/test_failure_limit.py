"""The limit on failures, and the tally of a process."""

import pytest

from lit_precompute.pipelines.embed.failure_limit import FailureLimit, FailureTally
from lit_precompute.pipelines.embed.process_registry import ProcessRegistry


@pytest.mark.parametrize(("text", "rows"), [(None, None), ("0", 0), ("100", 100), ("0.5%", 5), ("100%", 1000)])
def test_a_count_or_a_share_of_the_rows(text, rows):
    limit = FailureLimit.parse(text, 1000)
    assert limit == FailureLimit(rows)
    assert not limit.is_exceeded(rows or 0)
    assert limit.is_exceeded((rows or 0) + 1) == (rows is not None)


def test_a_repeated_shard_counts_once():
    tally = FailureTally(10)
    for shard, num_failures in [(0, 2), (1, 3), (0, 2)]:
        tally.add(shard, num_failures)
    assert tally.num_failures == 15


def test_threads_of_a_launch_share_a_tally_and_launches_do_not():
    registry = ProcessRegistry()
    registry.tally("first", 1).add(0, 2)
    assert registry.tally("first", 1).num_failures == 3
    assert registry.tally("second", 3).num_failures == 3
