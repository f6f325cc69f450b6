"""The result: each tower with its speed, cost and recall, best first, and what that says."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from lit_precompute.schemas.wording import counted

if TYPE_CHECKING:  # they import JAX or Beam
    from lit_precompute.choosing.costs import MillionRows
    from lit_precompute.tune.evaluation.paired import Estimate

# What towers are ordered by.
MEASURE = "mean_recall_at_5"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChosenTower:
    """One tower.

    Attributes:
      name: of its folder in `embedded`, which differs where options of one tower do.
      tower: its name.
      width: of its embeddings.
      num_parameters: of it.
      resolution: of its images.
      dataset: the sample, embedded.
      num_rows: of it.
      num_failures: rows that could not be embedded.
      tower_rate: images per second of the tower alone.
      decoding_rate: of reading and decoding; None if not known.
      job_rate: of the job, from its first batch on; None if it was too short to tell.
      limit: what limits the job; "" if not known.
      million_rows: what a million rows cost.
      recalls: by `paired.FIGURES`, with intervals; empty if a training failed.
      difference: of `MEASURE`, to that of the best tower; None for the best one, and where a training failed.
      error: why a training failed; "" if none did.
    """

    name: str
    tower: str
    width: int
    num_parameters: int
    resolution: int
    dataset: str
    num_rows: int
    num_failures: int
    tower_rate: float
    decoding_rate: float | None
    job_rate: float | None
    limit: str
    million_rows: MillionRows
    recalls: dict[str, Estimate]
    difference: Estimate | None
    error: str

    @property
    def measure(self) -> float:
        """What it is ordered by."""
        return self.recalls[MEASURE].value if self.recalls else -math.inf

    @property
    def is_maybe_as_good(self) -> bool:
        """Whether the best tower may be no better: the interval of the difference reaches zero."""
        return self.difference is not None and self.difference.high >= 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TowerChoice:
    """Several towers, compared.

    Attributes:
      source: the source's path.
      output: folder of all that was made.
      num_asked: rows that the sample was to have.
      seed: what drew them.
      num_rows: that it has.
      num_trained_on: rows that text towers were tuned on.
      num_held_out: rows that were retrieved among.
      num_held_out_texts: texts of these.
      num_alike: rows that share a text or an image with another; of these, `num_left_out` were left out.
      num_left_out: rows that share a text or an image with a held-out row.
      num_unusable: rows without a text, or that not every tower could embed.
      trainings: of each tower.
      text_tower: the frozen one; None: a small one from a random start.
      device: what embedded here, in words.
      machine: whose hours are counted, in words.
      currency: of all prices.
      chances: what a random ranking reaches, by figure.
      towers: best first; those whose training failed last.
      notes: what was assumed, and what does not look right.
    """

    source: str
    output: str
    num_asked: int
    seed: int
    num_rows: int
    num_trained_on: int
    num_held_out: int
    num_held_out_texts: int
    num_alike: int
    num_left_out: int
    num_unusable: int
    trainings: int
    text_tower: str | None
    device: str
    machine: str
    currency: str
    chances: dict[str, float]
    towers: tuple[ChosenTower, ...]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What it says, in a sentence."""
        compared = [each for each in self.towers if each.recalls]
        if not compared:
            return "no tower can be recommended: every one has a training that failed"
        best, *others = compared
        lowest, chance = best.recalls[MEASURE].low, self.chances[MEASURE]
        if lowest <= chance:
            return (
                f"none can be recommended: no tower retrieves better than chance ({chance:.1%}) for certain; give more "
                "--rows"
            )
        level = [each for each in others if each.is_maybe_as_good]
        cheapest = min([best, *level], key=lambda each: each.million_rows.compared)
        if cheapest is not best:
            return (
                f"{cheapest.name}: its R@5 cannot be told from that of the best, {best.name} "
                f"({points(cheapest.difference)}), at {_times(cheapest, best)} the cost; more --rows would tell more"
            )
        if level:
            return (
                f"{best.name}: it retrieves best; {_names(level)} may be as good ({points(level[0].difference)}), at "
                f"{_times(level[0], best)} the cost"
            )
        if not others:
            return f"{best.name}: the trainings of all others failed"
        worse, dearer = others[0], others[0].million_rows.compared >= best.million_rows.compared
        return (
            f"{best.name}: it retrieves best; the next, {worse.name}, is worse ({points(worse.difference)})"
            f"{' and costs no less' if dearer else f', at {_times(worse, best)} the cost'}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as JSON."""
        content: dict[str, Any] = {**dataclasses.asdict(self), "verdict": self.verdict, "measure": MEASURE}
        for tower, described in zip(self.towers, content["towers"], strict=True):
            described["recalls"] = {name: _interval(each) for name, each in tower.recalls.items()}
            described["difference"] = None if tower.difference is None else _interval(tower.difference)
        return content


def points(difference: Estimate | None) -> str:
    """Returns a difference of shares in words: `-1.2 points, -3.4 to +0.5`."""
    assert difference is not None, "the best tower has none"
    value, low, high = (f"{100 * each:+.1f}" for each in difference)
    return f"{value} points, {low} to {high}"


def _interval(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "interval_95": [estimate.low, estimate.high]}


def _times(one: ChosenTower, other: ChosenTower) -> str:
    return f"{one.million_rows.compared / other.million_rows.compared:.2f} times"


def _names(towers: list[ChosenTower]) -> str:
    return towers[0].name if len(towers) == 1 else f"{towers[0].name} and {counted(len(towers) - 1, 'other')}"
