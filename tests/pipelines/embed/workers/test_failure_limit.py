"""The limit on failures."""

import pytest

from lit_precompute.pipelines.embed.workers.failure_limit import FailureLimit


@pytest.mark.parametrize(("text", "rows"), [(None, None), ("0", 0), ("100", 100), ("0.5%", 5), ("100%", 1000)])
def test_a_count_or_a_share_of_the_rows(text, rows):
    limit = FailureLimit.parse(text, 1000)
    assert limit == FailureLimit(rows)
    assert not limit.is_exceeded(rows or 0)
    assert limit.is_exceeded((rows or 0) + 1) == (rows is not None)


def test_a_share_of_rows_that_are_not_counted_yet_is_no_limit():
    assert FailureLimit.parse("1%", None) == FailureLimit(None)
    assert FailureLimit.parse("7", None) == FailureLimit(7)
