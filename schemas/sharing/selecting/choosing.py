"""Some of the selected rows: those with the best scores, or a random sample.

Promises: exact, and a function of the rows and of scores or seed; neither rows nor scores are held or sorted, so that
memory does not depend on how many there are. Selected rows are gone through five times.
"""

import dataclasses
import decimal
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np

from lit_precompute.schemas.random_draws import SELECTED, Draws, draw, make_key
from lit_precompute.schemas.sharing.selecting.bits import ROWS_AT_ONCE, keep_rows, selected_rows
from lit_precompute.schemas.sharing.selection import Mask, Rows, Selection
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.wording import counted

_DIGIT_BITS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """So many rows, drawn without replacement by a seed."""

    count: int
    seed: int


def draw_sample(selection: Selection, sample: Sample, where: str) -> Selection:
    """Returns a random sample of the selected rows: those whose draws are the least.

    Raises:
      DatasetError: there are fewer rows, with a message that begins with `where`.
    """
    if sample.count > selection.num_selected:
        raise DatasetError(
            f"{where}: {counted(sample.count, 'row')} cannot be drawn at random without replacement from the "
            f"{selection.num_selected:,} that satisfy all else; draw fewer"
        )
    rank = functools.partial(draw, make_key(sample.seed, SELECTED))
    last, _ = find_kth_least(lambda: map(rank, selected_rows(selection)), sample.count)
    return keep_rows(selection, lambda rows: rank(rows) <= np.uint64(last))


def keep_best(selection: Selection, share: float, scores: IO[bytes]) -> tuple[Selection, float | None]:
    """Returns the best floor(share * n) of n selected rows, and the least of their scores (None: of no row).

    Of equal scores the first rows are kept. `scores` has the float64 score of each row, in their order.
    """
    # Of the share as it is written: 0.29 * 100 is below 29 in binary.
    count = int(decimal.Decimal(repr(share)) * selection.num_selected)
    if not count:
        return keep_rows(selection, lambda rows: np.zeros(len(rows), np.bool_)), None

    def read() -> Iterator[Draws]:
        scores.seek(0)
        while data := scores.read(8 * ROWS_AT_ONCE):
            yield ~in_ascending_order(np.frombuffer(data, np.float64))

    last, num_equal = find_kth_least(read, count)
    scores.seek(0)
    least = np.inf

    def keep(rows: Rows) -> Mask:
        nonlocal num_equal, least
        values = np.frombuffer(scores.read(8 * len(rows)), np.float64)
        ranks = ~in_ascending_order(values)
        kept = ranks < np.uint64(last)
        equal = np.flatnonzero(ranks == np.uint64(last))[:num_equal]
        kept[equal] = True
        num_equal -= len(equal)
        least = min(least, values[kept].min(initial=np.inf))
        return kept

    best = keep_rows(selection, keep)
    return best, float(least)


def find_kth_least(pieces: Callable[[], Iterable[Draws]], k: int) -> tuple[int, int]:
    """Returns the k-th least number, and how many of those equal to it are among the k least.

    Args:
      pieces: returns all numbers, unsigned of 64 bits, in pieces; called four times.
      k: from 1 to how many numbers there are.
    """
    value, left = 0, k
    for shift in range(64 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts = np.zeros(1 << _DIGIT_BITS, np.int64)
        for numbers in pieces():
            upper = numbers >> np.uint64(shift)
            if shift + _DIGIT_BITS < 64:
                upper = upper[upper >> np.uint64(_DIGIT_BITS) == np.uint64(value)]
            digits = (upper & np.uint64((1 << _DIGIT_BITS) - 1)).astype(np.int64)
            counts += np.bincount(digits, minlength=1 << _DIGIT_BITS)
        ends = np.cumsum(counts)
        assert left <= ends[-1], "k must be at most the number of numbers, which must be the same each time"
        digit = int(np.searchsorted(ends, left))
        left -= int(ends[digit] - counts[digit])
        value = value << _DIGIT_BITS | digit
    return value, left


def in_ascending_order(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> Draws:
    """Returns unsigned numbers that are in the same order as these, which are finite."""
    bits = (numbers + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits | sign)
