"""Shares and means with their uncertainty, and the share that guessing would reach."""

import dataclasses
import math
from collections.abc import Sequence

_Z = 1.959963984540054  # 97.5 % point of the normal distribution


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """A share of right answers, with the share expected by chance.

    Attributes:
      right: number of hits.
      count: number of queries.
      chance: expected share of hits of a random ranking.
    """

    right: int
    count: int
    chance: float

    @property
    def value(self) -> float:
        """Share of hits; NaN without queries."""
        return self.right / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, for independent queries."""
        if not self.count:
            return 0.0, 1.0
        center = (self.right + _Z**2 / 2) / (self.count + _Z**2)
        spread = self.right * (self.count - self.right) / self.count + _Z**2 / 4
        half = _Z * math.sqrt(spread) / (self.count + _Z**2)
        # Exact at the ends, where rounding errors would leave 1e-19.
        low = center - half if self.right > 0 else 0.0
        high = center + half if self.right < self.count else 1.0
        return low, high

    def to_json(self) -> dict[str, float | int | list[float] | None]:
        """Returns the figures as JSON; the value is null without queries."""
        return {
            "value": self.value if self.count else None,
            "interval_95": list(self.interval),
            "chance": self.chance,
            **dataclasses.asdict(self),
        }


def percent(share: float) -> str:
    """Returns a share in percent, with one decimal or as many as show two digits of its distance from 0 or 100 %.

    Only shares of exactly 0 and 1 are `0.0%` and `100.0%`; NaN is `n/a`.
    """
    if math.isnan(share):
        return "n/a"
    exponent = int(f"{100 * min(share, 1 - share):.1e}".split("e")[1])
    return f"{100 * share:.{max(1, 1 - exponent)}f}%"


def chance_of_a_hit(num_items: int, num_right: int, k: int) -> float:
    """Returns the probability that k of `num_items`, drawn at random, include at least one of the `num_right`."""
    if num_items == 0:
        return math.nan
    return 1.0 - math.comb(num_items - num_right, k) / math.comb(num_items, k) if k < num_items else 1.0


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns Student's 95 % interval of a mean, for independent, normally distributed values; of one value, all."""
    count, mean = len(values), math.fsum(values) / len(values)
    if count == 1:
        return -math.inf, math.inf
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = _student_quantile(count - 1) * deviation / math.sqrt(count)
    return mean - half, mean + half


def _student_quantile(freedom: int) -> float:
    """Returns the 97.5 % point of Student's distribution, by bisection."""
    low, high = 0.0, 13.0  # 12.71 with one degree of freedom, fewer with more
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (low, middle) if _student_inner(middle, freedom) >= 0.95 else (middle, high)
    return high


def _student_inner(value: float, freedom: int) -> float:
    """Returns the probability of Student's distribution in [-value, value].

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(value / math.sqrt(freedom))
    is_odd, sine, cosine = freedom % 2, math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if is_odd else (1.0, 0.0)
    for number in range(is_odd, freedom - 1, 2):
        total += term
        term *= (number + 1) / (number + 2) * cosine**2
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total
