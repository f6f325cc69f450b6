"""Training: steps over batches, metrics, checkpoints, and the tuned model at the end.

Promises: a run that is stopped at any moment, even killed, resumes with the same command and ends in bitwise the
parameters of an uninterrupted run. A loss, gradient or parameter that is not finite stops the run, with an error that
names the step, and is never saved. Nothing here prints: progress goes to the caller's `report`.
"""

import collections
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import check_selection, rows_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.towers.text.start import read_start
from lit_precompute.towers.tokenizers import TextLengths
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.batches import Batch, BatchSource, iterate
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.model.sides import TrainedParameters, make_sides
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.failures import explained_failures, not_finite
from lit_precompute.tune.training.preparation import (
    measure_text_lengths,
    prepare_statistics,
    read_locked,
    save_locked,
    save_preparation,
)
from lit_precompute.tune.training.progress import Progress, TrainingResult, TrainingStopped, read_final_loss
from lit_precompute.tune.training.rates import Rates
from lit_precompute.tune.training.run_directory import RunDirectory
from lit_precompute.tune.training.shared_work import SharedWork, TrainingData
from lit_precompute.tune.training.step import Measured, start_compiling
from lit_precompute.tune.training.text_inputs import open_texts

if TYPE_CHECKING:
    from lit_precompute.tune.training.metrics import MetricsWriter

# Steps that are dispatched before the oldest is waited for: enough to keep the device busy, and few enough that their
# batches fit its memory beside the state.
_STEPS_AHEAD = 2


class Trainer:
    """One run: a recipe on a dataset, in an output directory."""

    def __init__(
        self,
        dataset: EmbeddingDataset,
        recipe: Recipe,
        output: str | os.PathLike[str],
        execution: Execution | None = None,
        selection: Selection | None = None,
        shared: SharedWork | None = None,
    ):
        """Prepares tokenizer, batches and parameters, or resumes from those of an earlier process.

        Args:
          dataset: what is trained on.
          recipe: what is trained.
          output: directory of the run.
          execution: how it is computed.
          selection: the rows to train on; None: all.
          shared: what runs before this one in a sweep have read and compiled.

        Raises:
          ValueError: the dataset, the selection or the recipe cannot be trained on, or the output belongs to another
            run.
          TrainingError: the device or the disk is full.
        """
        self.recipe = recipe
        self.execution = execution or Execution()
        self.execution.check_fits(recipe)
        self._dataset = dataset
        if selection is not None:
            check_selection(selection, dataset)
        self._selection = selection
        self._shared = shared
        self.text_lengths: TextLengths | None = None
        self._directory = RunDirectory(output, selection)
        try:
            with explained_failures(self._directory.path, recipe, self.execution):
                self._prepare()
        except BaseException:
            self._directory.release()
            raise
        self._waiting: collections.deque[tuple[int, Measured]] = collections.deque()
        self._rates = Rates(recipe.batch_size)

    def _prepare(self) -> None:
        recipe, dataset, directory = self.recipe, self._dataset, self._directory
        rows = None if self._selection is None else rows_of(self._selection)
        is_resumed = directory.check(dataset, recipe)
        self._data = self._open(rows, is_resumed=is_resumed)
        texts, statistics = self._data.texts, self._data.statistics
        self.batches = self._data.batches
        directory.check(dataset, recipe, self.batches.order())
        self.num_steps = recipe.count_steps(self.batches.num_batches_per_epoch)
        self.sides = make_sides(
            recipe,
            width=dataset.width,
            vocabulary=None if texts.tokenizer is None else texts.tokenizer.vocabulary,
            statistics=statistics,
            text_width=None if texts.frozen is None else texts.frozen.width,
        )
        self._programs = start_compiling(
            recipe,
            self.execution,
            self.sides,
            width=dataset.width,
            vector_type=dataset.vector_type,
            texts=TextBatch(texts.source.in_batch(texts.source.empty_chosen(recipe.batch_size))),
            num_steps=self.num_steps,
            weights=self._read_weights(),
            compile_program=jax.stages.Lowered.compile if self._shared is None else self._shared.programs.compile,
        )
        # Every check is passed: from here on the directory is written to.
        directory.claim(dataset, recipe, self.batches.order())
        save_preparation(directory, texts.tokenizer, statistics)
        if texts.tokenizer is not None:
            self.text_lengths = measure_text_lengths(directory, dataset, texts.tokenizer, recipe, rows)
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

    def _open(self, rows: Int64[np.ndarray, " n"] | None, *, is_resumed: bool) -> TrainingData:
        """Returns what the run reads; a run that was begun before reads its own tokenizer and statistics."""
        if self._shared is None or is_resumed:
            return self._read(rows, is_resumed=is_resumed)
        return self._shared.data.open(self.recipe, self.execution, lambda: self._read(rows, is_resumed=False))

    def _read(self, rows: Int64[np.ndarray, " n"] | None, *, is_resumed: bool) -> TrainingData:
        recipe, dataset, directory = self.recipe, self._dataset, self._directory
        texts = open_texts(dataset, recipe, directory.tokenizer if is_resumed else None, rows)
        statistics = prepare_statistics(directory.statistics if is_resumed else None, dataset, recipe, rows)
        batches = BatchSource(
            texts.dataset,
            texts.source,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            memory_budget_bytes=self.execution.memory_budget_bytes,
            rows=rows,
        )
        return TrainingData(dataset, texts, statistics, batches)

    def _read_weights(self) -> dict[str, np.ndarray]:
        """Returns the parameters that the text tower starts from; none once there is a checkpoint."""
        weights = self.recipe.text_tower.weights
        if weights is None or self._directory.has_checkpoint():
            return {}
        return read_start(self.sides.text, weights)

    @property
    def text_notes(self) -> Sequence[str]:
        """What to tell about where texts are read."""
        return self._data.texts.notes

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
        self._rates = Rates(self.recipe.batch_size)
        with explained_failures(self._directory.path, self.recipe, self.execution):
            self._run_and_close(report, should_stop)
            seconds = time.perf_counter() - started_s
            final_loss = read_final_loss(self._directory, self.num_steps)
            self._write_model(final_loss)
        rate = (self.num_steps - self.first_step) * self.recipe.batch_size / seconds
        return TrainingResult(self._directory.model, self.num_steps, final_loss, rate)

    def _run_and_close(self, report: Callable[[Progress], None], should_stop: Callable[[], bool]) -> None:
        """Trains to the end and closes everything, also if that fails in part because the disk is full."""
        from lit_precompute.tune.training.metrics import MetricsWriter

        with contextlib.ExitStack() as closing:
            closing.callback(self._directory.release)
            if not self._data.is_shared:
                closing.callback(self._data.close)
            closing.callback(self._checkpoints.close)
            metrics = closing.enter_context(
                contextlib.closing(MetricsWriter(self._directory.path, self.first_step + 1))
            )
            batches = iterate(
                self.batches,
                self.first_step,
                self.num_steps - self.first_step,
                is_idle=self._is_idle,
                waited=self._rates.waited,
            )
            closing.callback(batches.close)
            self._run_steps(batches, metrics, report, should_stop)

    def _run_steps(
        self,
        batches: Iterable[Batch],
        metrics: "MetricsWriter",
        report: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        state = self._state
        for step, batch in enumerate(batches, start=self.first_step + 1):
            state, measured = self._programs.step(state, self._locked, batch.images, batch.texts)
            self._waiting.append((step, measured))
            stops = should_stop()
            saves = step % self.execution.checkpoint_every_steps == 0 or step == self.num_steps or stops
            while len(self._waiting) > (0 if saves else _STEPS_AHEAD):
                self._note(*self._waiting.popleft(), metrics, report)
            if saves:  # all steps so far were checked to be finite
                self._checkpoints.save(step, state)
            if stops and step < self.num_steps:
                raise TrainingStopped(step)
        self._state = state

    def _is_idle(self) -> bool:
        """Returns whether the device has finished all steps that it was given."""
        # jax's type of arrays does not say that they have it.
        return not self._waiting or self._waiting[-1][1].loss.is_ready()  # pyright: ignore[reportAttributeAccessIssue]

    def _note(
        self, step: int, measured: Measured, metrics: "MetricsWriter", report: Callable[[Progress], None]
    ) -> None:
        """Waits for a step, checks its measurements, and writes and reports them."""
        values = {name: float(np.asarray(value)) for name, value in measured._asdict().items()}
        is_finite = bool(values.pop("is_finite"))
        if not (is_finite and np.isfinite([values["loss"], values["gradient_norm"]]).all()):
            words = f"the loss is {values['loss']:g}, the gradient's norm {values['gradient_norm']:g}"
            self._checkpoints.wait()
            raise not_finite(
                step,
                words if is_finite else f"{words}, and not all parameters are finite after it",
                self._directory.checkpoints,
                self._checkpoints.newest_step(),
            )
        values |= self._rates.step_done()
        # What is written must not depend on where a run was interrupted.
        if step % self.execution.log_every_steps == 0 or step in (1, self.num_steps):
            metrics.write(step, values)
        report(Progress(step, self.num_steps, self.recipe.batch_size, values))

    def _write_model(self, final_loss: float) -> None:
        parameters = self.parameters
        model = TunedModel(
            recipe=self.recipe,
            sides=self.sides,
            image_parameters={name: np.asarray(value) for name, value in parameters.image.items()},
            text_parameters={name: np.asarray(value) for name, value in {**self._locked, **parameters.text}.items()},
            tokenizer=self._data.texts.tokenizer,
            frozen_text=self._data.texts.frozen,
            statistics=self._data.statistics,
            scale=float(np.asarray(self._programs.loss.scale(parameters.loss))),
            image_tower=self._dataset.manifest.tower.model_dump(),
            training={
                "dataset_digest": self._dataset.manifest.digest,
                **({} if self._selection is None else {"selection_digest": self._selection.digest}),
                "num_pairs": self.batches.num_rows,
                "num_steps": self.num_steps,
                "final_loss": final_loss,
            },
        )
        model.save(self._directory.model)
