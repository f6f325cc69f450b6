"""The table of a sweep: one row for each run, best first, and the means over seeds.

Promises: a run without a figure of the chosen measure comes last; runs that are equal in it stay in the sweep's order.
"""

import csv
import dataclasses
import io
import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lit_precompute.schemas.storage import write_text_atomically
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.fields import Scalar
from lit_precompute.tune.config.sweeping import SEED, short_names, without_seed
from lit_precompute.tune.evaluation.statistics import mean_interval

FINAL_LOSS, MEAN_RECALL = "final_loss", "mean_recall"
# Of retrieval with the tuned model; the mean is over all others.
RECALLS = (
    MEAN_RECALL,
    *(f"{way}_recall_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)),
)
# Of rows that the recipe holds out.
MINIVAL = "minival_"
MINIVAL_LOSS = f"{MINIVAL}loss"
MINIVAL_MEASURES = (MINIVAL_LOSS, *(f"{MINIVAL}{name}" for name in RECALLS))
JSON_NAME, CSV_NAME = "sweep.json", "sweep.csv"
FORMAT_VERSION = 1


class Interval(NamedTuple):
    """A mean over seeds and Student's 95 % interval of it."""

    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweptRun:
    """What became of one run.

    Attributes:
      name: its values in short; the folder of its run.
      values: by path of the field.
      figures: by measure: the loss of the last step, and what was evaluated; empty if it failed.
      error: why it failed; None if it finished.
      is_not_finite: whether it failed since its numbers are not finite, and so would again.
      model: the tuned model; None if it failed.
      key: hash of what was trained and on what.
      evaluated: hash of the model and of the dataset that it was evaluated on, if it was.
    """

    name: str
    values: Mapping[str, Scalar]
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    error: str | None = None
    is_not_finite: bool = False
    model: pathlib.Path | None = None
    key: str = ""
    evaluated: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """Runs that differ in the seed alone.

    Attributes:
      values: what they have in common.
      count: how many finished.
      figures: by measure.
    """

    values: Mapping[str, Scalar]
    count: int
    figures: Mapping[str, Interval]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
      measure: what runs are compared by.
      runs: best first.
      over_seeds: means over seeds, best first; empty if no seeds were swept.
    """

    measure: str
    runs: Sequence[SweptRun]
    over_seeds: Sequence[OverSeeds]

    @property
    def best(self) -> SweptRun | None:
        """The best run; None if all failed."""
        return next((run for run in self.runs if self.measure in run.figures), None)

    @property
    def measures(self) -> list[str]:
        """The measures of which any run has a figure."""
        return list(dict.fromkeys(name for run in self.runs for name in run.figures))

    def to_json(self) -> dict[str, Any]:
        """Returns the result as JSON; paths of models are relative to the sweep's folder."""
        best = self.best
        return {
            "measure": self.measure,
            "best": None if best is None else best.name,
            "runs": [
                dataclasses.asdict(run) | {"model": None if run.model is None else f"{run.name}/{run.model.name}"}
                for run in self.runs
            ],
            "over_seeds": [
                {
                    "values": dict(each.values),
                    "count": each.count,
                    "figures": {
                        name: {"mean": mean, "interval_95": [low, high] if math.isfinite(low) else None}
                        for name, (mean, low, high) in each.figures.items()
                    },
                }
                for each in self.over_seeds
            ],
        }


def with_mean(recalls: Mapping[str, float]) -> dict[str, float]:
    """Returns recalls at each number in both directions, and before them their mean."""
    return {MEAN_RECALL: math.fsum(recalls.values()) / len(recalls), **recalls}


def minival_figures(minival: Mapping[str, float]) -> dict[str, float]:
    """Returns the figures of held-out rows under the names of a sweep's measures; none without such rows."""
    if not minival:
        return {}
    recalls = {name.replace("_R@", "_recall_at_"): value for name, value in minival.items() if name != "loss"}
    return {f"{MINIVAL}{name}": value for name, value in {"loss": minival["loss"], **with_mean(recalls)}.items()}


def choose_measure(asked: str | None, *, evaluates: bool, holds_out: bool) -> str:
    """Returns what runs are compared by, which all of them have.

    Args:
      asked: the measure that was asked for, if any.
      evaluates: whether there is a dataset to evaluate on.
      holds_out: whether all runs hold out rows.

    Raises:
      OptionsError: there is no such measure, or the runs do not have it.
    """
    if asked is None:
        return MEAN_RECALL if evaluates else f"{MINIVAL}{MEAN_RECALL}" if holds_out else FINAL_LOSS
    choices = (FINAL_LOSS, *RECALLS, *MINIVAL_MEASURES)
    if asked not in choices:
        raise OptionsError(f"measure must be one of {', '.join(choices)}, got {asked!r}")
    if not evaluates and asked in RECALLS:
        raise OptionsError(
            f"measure {asked} needs a dataset to evaluate on; give --evaluate, or compare by {FINAL_LOSS}"
        )
    if not holds_out and asked in MINIVAL_MEASURES:
        raise OptionsError(f"measure {asked} needs rows that are held out; give --data.held-out")
    return asked


def lower_is_better(measure: str) -> bool:
    """Returns whether a measure is a loss."""
    return measure.endswith("loss")


def tabulate(runs: Sequence[SweptRun], measure: str) -> SweepResult:
    """Returns the runs, best first, and their means over seeds."""
    sign = 1 if lower_is_better(measure) else -1

    def place(figures: Mapping[str, Any]) -> float:
        value = figures.get(measure, sign * math.inf)
        return sign * (value.mean if isinstance(value, Interval) else value)

    groups: dict[str, list[SweptRun]] = {}
    if any(SEED in run.values for run in runs):
        for run in runs:
            groups.setdefault(repr(without_seed(run.values)), []).append(run)
    over_seeds = [_over_seeds(group) for group in groups.values()]
    return SweepResult(
        measure=measure,
        runs=sorted(runs, key=lambda run: place(run.figures)),
        over_seeds=sorted(over_seeds, key=lambda each: place(each.figures)),
    )


def _over_seeds(runs: Sequence[SweptRun]) -> OverSeeds:
    finished = [run for run in runs if run.error is None]
    names = dict.fromkeys(name for run in finished for name in run.figures)
    values = {name: [run.figures[name] for run in finished if name in run.figures] for name in names}
    return OverSeeds(
        values=without_seed(runs[0].values),
        count=len(finished),
        figures={name: Interval(math.fsum(each) / len(each), *mean_interval(each)) for name, each in values.items()},
    )


def write_table(directory: str | os.PathLike[str], result: SweepResult, about: Mapping[str, Any]) -> None:
    """Writes `sweep.json`, which also says what was swept, and `sweep.csv`."""
    folder = pathlib.Path(directory)
    content = {"format_version": FORMAT_VERSION, **about, **result.to_json()}
    write_text_atomically(folder / JSON_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text_atomically(folder / CSV_NAME, _as_csv(result))


def _as_csv(result: SweepResult) -> str:
    paths = list(result.runs[0].values) if result.runs else []
    names, measures = short_names(paths), result.measures
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *(names[path] for path in paths), *measures, "error"])
    for run in result.runs:
        figures = [run.figures.get(name, "") for name in measures]
        writer.writerow([run.name, *(run.values[path] for path in paths), *figures, run.error or ""])
    return text.getvalue()
