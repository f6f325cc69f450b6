"""A sweep: one run for each combination of values, one after the other, over rows that are read once.

OUTPUT/<values>/  a run each, which `lit-tune` with these values resumes, and would make to the same bits
OUTPUT/sweep.json, sweep.csv, sweep.png  the table and a plot, after every run

Promises: the same sweep again skips the runs that have finished or whose numbers were not finite, and resumes the one
that was stopped; values may be added. A run that fails is a row of the table, unless the disk is full. Nothing here
prints.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.claims import Claim, refuse_unwritable
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import file_sha256, open_folder, refuse_url
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.wording import is_full_disk
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.fields import Scalar
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.config.sweeping import Point, make_points, without_seed
from lit_precompute.tune.model.fitting import check_same_network, table_of_network
from lit_precompute.tune.model.tuned_model_files import CARD_NAME, read_card
from lit_precompute.tune.training.datasets import OneOrMore, open_table, tower_of, trained_on
from lit_precompute.tune.training.failures import NotFiniteError, TrainingError
from lit_precompute.tune.training.progress import Progress
from lit_precompute.tune.training.run_directory import RunDirectory
from lit_precompute.tune.training.shared_work import SharedWork, what_is_read
from lit_precompute.tune.training.sweep_table import (
    FINAL_LOSS,
    JSON_NAME,
    RECALLS,
    SweepResult,
    SweptRun,
    choose_measure,
    minival_figures,
    tabulate,
    with_mean,
    write_table,
)

_ADVICE = "give an empty --output, or that of a sweep"


class SweepProgress(NamedTuple):
    """What is reported after each step: that of run `number` of `num_runs`."""

    number: int
    num_runs: int
    name: str
    training: Progress


class Sweep:
    """A sweep of a recipe's fields on a dataset, in an output directory."""

    def __init__(
        self,
        datasets: OneOrMore[EmbeddingDataset],
        recipe: Recipe,
        axes: Mapping[str, Sequence[Scalar]],
        output: str | os.PathLike[str],
        *,
        execution: Execution | None = None,
        selections: OneOrMore[Selection] | None = None,
        evaluate: EmbeddingDataset | None = None,
        measure: str | None = None,
    ):
        """Checks everything that can be before the first run.

        Args:
          datasets: what is trained on.
          recipe: what is trained, but for the swept values.
          axes: values by path of the field, such as `optimizer.learning_rate`.
          output: directory of the sweep.
          execution: how it is computed.
          selections: the rows to train on, of each dataset one at most; None: all.
          evaluate: images and texts for retrieval with each tuned model.
          measure: what runs are compared by: final_loss; with `evaluate`, one of `RECALLS`; with held-out rows, one of
            `MINIVAL_MEASURES`. None: mean_recall, minival_mean_recall or final_loss, the first that there is.

        Raises:
          ValueError: no such field, a value that does not fit it, too many runs, an unknown measure, a dataset from
            another tower, or an output that contains something else.
        """
        self.points = make_points(recipe, axes)
        on = trained_on(datasets, selections)
        self._datasets, self._selections = [each.dataset for each in on], [each.selection for each in on]
        self._execution = execution or Execution()
        for point in self.points:
            self._execution.check_fits(point.recipe)
        self._evaluate = evaluate
        holds_out = all(point.recipe.data.held_out for point in self.points)
        self.measure = choose_measure(measure, evaluates=evaluate is not None, holds_out=holds_out)
        if evaluate is not None:
            self._tables = self._tables_to_evaluate(evaluate)
        refuse_url("--output", output)
        self.output = pathlib.Path(output)
        self._about = {
            "datasets": [dataset.manifest.digest for dataset in self._datasets],
            "selections": [None if each is None else each.digest for each in self._selections],
            "evaluated_on": None
            if evaluate is None
            else {"path": str(evaluate.path), "digest": evaluate.manifest.digest},
            "axes": {path: list(values) for path, values in axes.items()},
        }
        self._before = self._claimed()

    def run(
        self,
        report: Callable[[SweepProgress], None] = lambda progress: None,
        tell: Callable[[SweptRun], None] = lambda run: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> SweepResult:
        """Trains and evaluates what is missing, and writes the table after each run.

        Args:
          report: called after each step.
          tell: called after each run, also of one that an earlier process has finished.
          should_stop: called after each step; True saves a checkpoint and stops.

        Raises:
          ValueError: a recipe cannot be trained on this dataset, or the folder of a run contains another one.
          TrainingStopped: `should_stop` returned True.
          TrainingError: the disk is full.
        """
        done: dict[str, SweptRun] = {}
        shared = SharedWork()
        try:
            for number, point in enumerate(_in_turn(self.points), start=1):
                place = functools.partial(SweepProgress, number, len(self.points), point.name)
                run = self._run(point, shared, lambda training, place=place: report(place(training)), should_stop)
                done[point.name] = run = self._evaluated(run, point)
                write_table(self.output, self._tabulated(done), self._about)
                tell(run)
        finally:
            shared.close()
        return self._tabulated(done)

    def _tabulated(self, done: Mapping[str, SweptRun]) -> SweepResult:
        return tabulate([done[each.name] for each in self.points if each.name in done], self.measure)

    def _run(
        self, point: Point, shared: SharedWork, report: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> SweptRun:
        """Returns a run that is trained here, or was by an earlier process; with the loss alone."""
        from lit_precompute.tune.training.trainer import Trainer

        output = self.output / point.name
        run = SweptRun(name=point.name, values=point.values, key=self._key(point))
        directory = RunDirectory(output, self._selections)
        if not directory.is_finished(self._datasets, point.recipe):
            before = self._before.get(point.name, {})
            if before.get("key") == run.key and before.get("is_not_finite"):
                return dataclasses.replace(run, error=str(before.get("error")), is_not_finite=True)
            try:
                selected = [each for each in self._selections if each is not None]
                trainer = Trainer(self._datasets, point.recipe, output, self._execution, selected, shared)
                trainer.run(report, should_stop)
            except TrainingError as error:
                if is_full_disk(error.__cause__):
                    raise
                return dataclasses.replace(run, error=str(error), is_not_finite=isinstance(error, NotFiniteError))
            except ValueError as error:
                raise ValueError(f"{point.name}: {error}") from error
        training = read_card(directory.model)["training"]
        figures = {FINAL_LOSS: training["final_loss"], **minival_figures(training.get("minival", {}))}
        return dataclasses.replace(run, figures=figures, model=directory.model)

    def _tables_to_evaluate(self, evaluate: EmbeddingDataset) -> dict[str, str]:
        """Returns the table of embeddings to evaluate on, by the one that is trained on."""
        tables: dict[str, str] = {}
        for trained in {point.recipe.data.table for point in self.points}:
            tower = tower_of(self._datasets[0], trained)
            if (table := table_of_network(evaluate, tower)) is None:
                check_same_network(evaluate, tower)  # says why
            else:
                tables[trained] = table
        return tables

    def _evaluated(self, run: SweptRun, point: Point) -> SweptRun:
        """Returns the run with the recalls of its model, of an earlier process where that had the same."""
        if self._evaluate is None or run.model is None:
            return run
        from lit_precompute.tune.evaluation.retrieval import evaluate
        from lit_precompute.tune.model.tuned_model import TunedModel

        table = self._tables[point.recipe.data.table]
        other = [] if table == EMBEDDINGS else [table]
        evaluated = _hash([self._evaluate.manifest.digest, file_sha256(run.model / CARD_NAME), *other])
        before = self._before.get(run.name, {})
        if before.get("evaluated") == evaluated:
            recalls = {name: before["figures"][name] for name in RECALLS}
        else:
            with contextlib.ExitStack() as closing:
                dataset = open_table(self._evaluate, table)
                if dataset is not self._evaluate:
                    closing.enter_context(dataset)
                result = evaluate(TunedModel.load(run.model), dataset)
            shares = {"image_to_text": result.image_to_text, "text_to_image": result.text_to_image}
            each = {f"{way}_recall_at_{k}": share.value for way, by_k in shares.items() for k, share in by_k.items()}
            recalls = with_mean(each)
        return dataclasses.replace(run, figures={**run.figures, **recalls}, evaluated=evaluated)

    def _key(self, point: Point) -> str:
        return _hash([self._about["datasets"], self._about["selections"], point.recipe.to_json()])

    def _claimed(self) -> dict[str, dict[str, Any]]:
        """Claims the output for a sweep; returns the runs that a table there has, by name.

        Raises:
          ValueError: it contains something else.
        """
        claim = Claim(
            folder=open_folder(self.output),
            note=JSON_NAME,
            kind="sweep",
            own_prefix=".",
            advice_foreign=_ADVICE,
            advice_another=_ADVICE,
            advice_damaged="remove it: the runs beside it are kept",
        )
        claim.refuse_foreign_files()
        refuse_unwritable(claim.folder, "choose another --output")
        if not claim.is_made():
            write_table(self.output, tabulate([], self.measure), self._about)
        return {run["name"]: run for run in claim.read().get("runs", [])}


def _in_turn(points: Sequence[Point]) -> list[Point]:
    """Returns the runs in an order in which those that read the same follow each other, then those with other seeds."""
    keys = [(_hash(what_is_read(point.recipe)), _hash(without_seed(point.values))) for point in points]
    first = {part: place for place, key in reversed([*enumerate(keys)]) for part in key}
    order = sorted(range(len(points)), key=lambda place: [first[part] for part in keys[place]])
    return [points[place] for place in order]


def _hash(content: Any) -> str:
    """Returns a hash of JSON values and options."""
    return hashlib.sha256(json.dumps(content, default=repr).encode()).hexdigest()
