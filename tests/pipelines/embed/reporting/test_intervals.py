"""Spans of time, with sums worked out by hand."""

import pytest

from lit_precompute.pipelines.embed.reporting.intervals import (
    Span,
    covered_s,
    idle_at_the_end_s,
    rows_between,
    union,
)


def test_overlapping_spans_count_once():
    spans = [Span(5, 6), Span(0, 2), Span(1, 3), Span(3, 4)]
    assert union(spans) == [Span(0, 4), Span(5, 6)]
    assert covered_s(spans) == 5
    assert covered_s([]) == 0


@pytest.mark.parametrize(
    ("spans", "idle_s"),
    [
        ({"a": [(0, 10)], "b": [(0, 4), (4, 10)]}, 0),  # both until the end
        ({"a": [(0, 10)], "b": [(0, 4)], "c": [(0, 7)]}, 6 + 3),
        ({"a": [(0, 3), (5, 10)]}, 0),  # a gap is not the end
        ({"a": [(0, 10)], "b": [(6, 10)]}, 0),  # added later
        ({"a": [(0, 5)], "b": [(0, 10)], "c": [(5, 10)]}, 0),  # replaced
        ({"a": [(0, 2), (1, 3)], "b": [(0, 3)]}, 0),  # two threads of one process
        ({}, 0),
    ],
)
def test_workers_are_idle_when_too_few_units_are_left(spans, idle_s):
    assert idle_at_the_end_s({worker: [Span(*span) for span in each] for worker, each in spans.items()}) == idle_s


def test_rows_are_spread_evenly_over_their_span():
    work = [(Span(0, 10), 100), (Span(10, 20), 50), (Span(20, 20), 7)]
    assert rows_between(work, Span(5, 15)) == 50 + 25
    assert rows_between(work, Span(100, 200)) == 0
