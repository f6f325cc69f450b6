"""Training: a recipe on datasets, from the first step or the last checkpoint to the tuned model.

Promises: a run that is stopped at any moment, even killed, resumes with the same command and ends in bitwise the
parameters of an uninterrupted run. A loss, gradient or parameter that is not finite stops the run, with an error that
names the step, and is never saved. Nothing here prints: progress goes to the caller's `report`.
"""

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.towers.text.start import read_start
from lit_precompute.towers.tokenizers import TextLengths
from lit_precompute.tune.config.checks import check_recipe
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.config.starts import other_tokenizer
from lit_precompute.tune.data.batches_ahead import iterate
from lit_precompute.tune.data.parts import Share
from lit_precompute.tune.losses import make_loss
from lit_precompute.tune.model.sides import TrainedParameters
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.datasets import OneOrMore, one_or_more, open_table, trained_on
from lit_precompute.tune.training.failures import explained_failures
from lit_precompute.tune.training.inputs import Inputs, prepare_inputs
from lit_precompute.tune.training.preparation import read_locked, save_locked
from lit_precompute.tune.training.programs import start_compiling
from lit_precompute.tune.training.progress import Progress, TrainingResult, minival_of, read_final_metrics
from lit_precompute.tune.training.run_directory import RunDirectory
from lit_precompute.tune.training.shared_work import SharedWork

if TYPE_CHECKING:
    from lit_precompute.tune.training.validation import Validation

_logger = logging.getLogger(__name__)


class Trainer:
    """One run: a recipe on one or more datasets, in an output directory."""

    def __init__(
        self,
        datasets: OneOrMore[EmbeddingDataset],
        recipe: Recipe,
        output: str | os.PathLike[str],
        execution: Execution | None = None,
        selections: OneOrMore[Selection] | None = None,
        shared: SharedWork | None = None,
    ):
        """Prepares tokenizer, batches and parameters, or resumes from those of an earlier process.

        Args:
          datasets: what is trained on.
          recipe: what is trained.
          output: directory of the run.
          execution: how it is computed.
          selections: the rows to train on, of each dataset one at most; None: all.
          shared: what runs before this one in a sweep have read and compiled.

        Raises:
          ValueError: a dataset, a selection or the recipe cannot be trained on, or the output belongs to another run.
          TrainingError: the device or the disk is full.
        """
        self.recipe = recipe
        self.execution = execution or Execution()
        check_recipe(recipe)
        self.execution.check_fits(recipe)
        given = one_or_more(datasets)
        opened = [open_table(dataset, recipe.data.table) for dataset in given]
        self._reopened = [dataset for dataset in opened if dataset not in given]
        self._trained_on = trained_on(opened, selections)
        self.text_lengths: dict[str, TextLengths] = {}
        self._shared = shared
        self._directory = RunDirectory(output, [each.selection for each in self._trained_on])
        try:
            with explained_failures(self._directory.path, recipe, self.execution):
                self._prepare()
        except BaseException:
            self._directory.release()
            raise

    def _prepare(self) -> None:
        recipe, directory = self.recipe, self._directory
        datasets = [each.dataset for each in self._trained_on]
        is_resumed = directory.check(datasets, recipe)
        self._inputs = inputs = self._prepare_inputs(directory if is_resumed else None)
        self.batches = inputs.batches
        directory.check(datasets, recipe, self.batches.order())
        self.num_steps = recipe.count_steps(self.batches.num_batches_per_epoch)
        self.sides = inputs.sides(recipe)
        self._programs = start_compiling(
            recipe,
            self.execution,
            self.sides,
            width=inputs.width,
            vector_type=inputs.vector_type,
            texts=inputs.text_batch(recipe.batch_size),
            num_steps=self.num_steps,
            weights=self._read_weights(),
            compile_program=jax.stages.Lowered.compile if self._shared is None else self._shared.programs.compile,
        )
        # Every check is passed: from here on the directory is written to.
        directory.claim(datasets, recipe, self.batches.order())
        self.text_lengths = inputs.save(directory, recipe)
        # Imported here, while XLA compiles in threads.
        from lit_precompute.tune.training.checkpoints import Checkpoints

        self._checkpoints = Checkpoints(directory.checkpoints)
        self.first_step = self._checkpoints.newest_step() or 0
        if self.first_step:
            self._locked = read_locked(directory, self._programs.locked_names)
            self._state = self._checkpoints.restore(self._programs.state_shapes)
        else:
            self._state, self._locked = self._programs.draw()
            save_locked(directory, self._locked)

    def _prepare_inputs(self, saved: RunDirectory | None) -> Inputs:
        """Returns what the run trains on; a run that was begun before has its own tokenizer and statistics."""
        budget = self.execution.memory_budget_bytes
        if self._shared is None or saved is not None:
            return prepare_inputs(self._trained_on, self.recipe, budget, saved)
        return self._shared.inputs.prepare(self._trained_on, self.recipe, budget)

    def _read_weights(self) -> dict[str, np.ndarray]:
        """Returns the parameters that the text tower starts from; none once there is a checkpoint."""
        tower = self.recipe.text_tower
        if tower.weights is None or self._directory.has_checkpoint():
            return {}
        if (caution := other_tokenizer(self.recipe)) is not None:
            _logger.warning(caution)
        return read_start(self.sides.text, tower.weights, draws_head=tower.draws_head())

    @property
    def text_notes(self) -> Sequence[str]:
        """What to tell about where texts are read."""
        return self._inputs.texts.notes

    @property
    def shares(self) -> Sequence[Share]:
        """What the training sees of each dataset."""
        return self.batches.shares(self.num_steps)

    @property
    def parameters(self) -> TrainedParameters:
        """The current parameters; the next step consumes them."""
        return self._state.parameters

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.parameters))

    def run(
        self, report: Callable[[Progress], None], should_stop: Callable[[], bool] = lambda: False
    ) -> TrainingResult:
        """Trains from the current step to the end.

        Raises:
          TrainingError: a loss, gradient or parameter that is not finite; the device or the disk is full.
          TrainingStopped: `should_stop` returned True before the last step.
        """
        started_s = time.perf_counter()
        with explained_failures(self._directory.path, self.recipe, self.execution):
            self._run_and_close(report, should_stop)
            seconds = time.perf_counter() - started_s
            last = read_final_metrics(self._directory, self.num_steps)
            self._write_model(last)
        rate = (self.num_steps - self.first_step) * self.recipe.batch_size / seconds
        return TrainingResult(self._directory.model, self.num_steps, last["loss"], rate, minival_of(last))

    def _run_and_close(self, report: Callable[[Progress], None], should_stop: Callable[[], bool]) -> None:
        """Trains to the end and closes everything, also if that fails in part because the disk is full."""
        from lit_precompute.tune.training.loop import Loop
        from lit_precompute.tune.training.metrics import MetricsWriter

        loop = Loop(
            self._programs,
            self._locked,
            self._checkpoints,
            self._directory,
            execution=self.execution,
            batch_size=self.recipe.batch_size,
            num_steps=self.num_steps,
            validation=self._validation(),
        )
        with contextlib.ExitStack() as closing:
            closing.callback(self._directory.release)
            for dataset in self._reopened:
                (closing if self._shared is None else self._shared.closing).callback(dataset.close)
            closing.callback(self._inputs.close)
            closing.callback(self._checkpoints.close)
            metrics = closing.enter_context(
                contextlib.closing(MetricsWriter(self._directory.path, self.first_step + 1))
            )
            batches = iterate(
                self.batches,
                self.first_step,
                self.num_steps - self.first_step,
                is_idle=loop.is_idle,
                waited=loop.rates.waited,
            )
            closing.callback(batches.close)
            self._state = loop.run(self._state, batches, self.first_step, metrics, report, should_stop)

    def _validation(self) -> "Validation | None":
        if self._inputs.held_out is None:
            return None
        from lit_precompute.tune.training.validation import Validation

        # An image has one text there, and a short batch need not have whole groups.
        loss = make_loss(dataclasses.replace(self.recipe.loss, group_size=None), image_is_trained=False)
        return Validation(
            self._inputs.held_out,
            self.sides,
            loss,
            batch_size=self.recipe.batch_size,
            rows_at_once=self.execution.micro_batch_size or self.recipe.batch_size,
        )

    def _write_model(self, last: dict[str, float]) -> None:
        parameters, texts, loss = self._state.tuned_parameters(), self._inputs.texts, self._programs.loss
        model = TunedModel(
            recipe=self.recipe,
            sides=self.sides,
            image_parameters={name: np.asarray(value) for name, value in parameters.image.items()},
            text_parameters={name: np.asarray(value) for name, value in {**self._locked, **parameters.text}.items()},
            tokenizer=texts.tokenizer,
            frozen_text=texts.frozen,
            statistics=self._inputs.statistics,
            scale=float(np.asarray(loss.scale(parameters.loss))),
            bias=None if loss.bias is None else float(np.asarray(loss.bias(parameters.loss))),
            image_tower=self._trained_on[0].dataset.tower.model_dump(),
            training={
                **self._inputs.about(),
                "num_steps": self.num_steps,
                "final_loss": last["loss"],
                **({"minival": minival} if (minival := minival_of(last)) else {}),
            },
        )
        model.save(self._directory.model)
