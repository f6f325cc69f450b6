"""Groups of units: the next group begins when the failures of those before it are known.

Promises: no worker reads what others have written; without a limit on failures there is one group.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

# The last group takes all that is left: each group is a part of the graph.
MAX_GROUPS = 16


class Group(NamedTuple):
    """Some of the units [start, stop), which belong to a group."""

    number: int
    start: int
    stop: int


def group_units(units: Sequence[int], *, is_limited: bool) -> Iterator[Group]:
    """Yields all of these units, which ascend, in runs of consecutive numbers.

    Groups of one, one, two, four ... units find out early whether all is wrong, and still keep many workers busy.
    """
    size, first = (1, 0) if is_limited else (len(units), 0)
    for number in range(MAX_GROUPS):
        last = len(units) if number == MAX_GROUPS - 1 else min(first + size, len(units))
        yield from (Group(number, start, stop) for start, stop in _runs(units[first:last]))
        size *= 2 if number else 1
        first = last


def count_groups(*, is_limited: bool) -> int:
    """Returns how many groups there may be."""
    return MAX_GROUPS if is_limited else 1


def _runs(units: Sequence[int]) -> Iterator[tuple[int, int]]:
    start: int | None = None
    before = -1
    for unit in units:
        if start is None:
            start = unit
        elif unit != before + 1:
            yield start, before + 1
            start = unit
        before = unit
    if start is not None:
        yield start, before + 1
