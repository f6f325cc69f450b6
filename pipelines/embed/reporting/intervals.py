"""Arithmetic of spans of time, in seconds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """From when to when."""

    began: float
    ended: float


def union(spans: Iterable[Span]) -> list[Span]:
    """Returns spans that do not overlap and cover the same time, in order."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.began <= found[-1].ended:
            found[-1] = Span(found[-1].began, max(found[-1].ended, span.ended))
        else:
            found.append(span)
    return found


def covered_s(spans: Iterable[Span]) -> float:
    """Returns the seconds that are in at least one of the spans."""
    return sum(span.ended - span.began for span in union(spans))


def idle_at_the_end_s(of_worker: Mapping[str, Sequence[Span]]) -> float:
    """Returns the seconds that workers had nothing to do because only a few units were left.

    Counted from when all that ever worked at once did so for the last time: a worker that was added later, or replaced
    another, was not idle before.

    Args:
      of_worker: for each worker, when it was at work.
    """
    changes: list[tuple[float, int]] = []
    for spans in of_worker.values():
        for span in union(spans):
            changes += [(span.began, 1), (span.ended, -1)]
    changes.sort()
    num_at_work = most = 0
    idle_s, since = 0.0, 0.0
    for moment, change in changes:
        idle_s += (most - num_at_work) * (moment - since)
        num_at_work, since = num_at_work + change, moment
        if num_at_work >= most:
            most, idle_s = num_at_work, 0.0
    return idle_s


def rows_between(spans: Iterable[tuple[Span, int]], window: Span) -> float:
    """Returns the rows that fall into a window, if each span's rows are spread evenly over it."""
    total = 0.0
    for span, num_rows in spans:
        overlap_s = min(span.ended, window.ended) - max(span.began, window.began)
        if overlap_s > 0:
            total += num_rows * overlap_s / (span.ended - span.began)
    return total
