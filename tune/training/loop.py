"""The steps of a run: dispatched ahead of the device, measured, checked to be finite, logged and saved.

Promises: a state that is not finite is never saved; what is written does not depend on where a run was interrupted.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.data.batches import Batch
from lit_precompute.tune.training.checkpoints import Checkpoints
from lit_precompute.tune.training.failures import not_finite
from lit_precompute.tune.training.metrics import MetricsWriter
from lit_precompute.tune.training.programs import Programs
from lit_precompute.tune.training.progress import Progress, TrainingStopped
from lit_precompute.tune.training.rates import Rates
from lit_precompute.tune.training.run_directory import RunDirectory
from lit_precompute.tune.training.step import Locked, Measured, TrainingState

if TYPE_CHECKING:
    from lit_precompute.tune.training.validation import Validation

# Steps that are dispatched before the oldest is waited for: enough to keep the device busy, and few enough that their
# batches fit its memory beside the state.
_STEPS_AHEAD = 2


class Loop:
    """The steps of one run."""

    def __init__(
        self,
        programs: Programs,
        locked: Locked,
        checkpoints: Checkpoints,
        directory: RunDirectory,
        *,
        execution: Execution,
        batch_size: int,
        num_steps: int,
        validation: Validation | None = None,
    ):
        """Takes what the steps are made of, where they are saved, and what validates them."""
        self._validation = validation
        self._programs, self._locked = programs, locked
        self._checkpoints, self._directory = checkpoints, directory
        self._execution, self._batch_size, self._num_steps = execution, batch_size, num_steps
        self._waiting: collections.deque[tuple[int, Measured]] = collections.deque()
        self.rates = Rates(batch_size)

    def run(
        self,
        state: TrainingState,
        batches: Iterable[Batch],
        first_step: int,
        metrics: MetricsWriter,
        report: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> TrainingState:
        """Returns the state after the last step; `first_step` steps are done before.

        Raises:
          TrainingError: a loss, gradient or parameter is not finite.
          TrainingStopped: `should_stop` returned True before the last step.
        """
        for step, batch in enumerate(batches, start=first_step + 1):
            state, measured = self._programs.step(state, self._locked, batch.images, batch.texts)
            self._waiting.append((step, measured))
            stops = should_stop()
            saves = step % self._execution.checkpoint_every_steps == 0 or step == self._num_steps or stops
            validates = self._validates_after(step)
            while len(self._waiting) > (0 if saves or validates else _STEPS_AHEAD):
                number, values = self._finish(*self._waiting.popleft())
                if validates and number == step:  # written before the checkpoint: a resume never repeats this step
                    values |= self._validate(state)
                self._note(number, values, metrics, report)
            if saves:  # all steps so far were checked to be finite
                self._checkpoints.save(step, state)
            if stops and step < self._num_steps:
                raise TrainingStopped(step)
        return state

    def is_idle(self) -> bool:
        """Returns whether the device has finished all steps that it was given."""
        # jax's type of arrays does not say that they have it.
        return not self._waiting or self._waiting[-1][1].loss.is_ready()  # pyright: ignore[reportAttributeAccessIssue]

    def _validates_after(self, step: int) -> bool:
        every = self._execution.validate_every_steps
        is_due = step == self._num_steps or (every is not None and step % every == 0)
        return self._validation is not None and is_due

    def _validate(self, state: TrainingState) -> dict[str, float]:
        """Returns the metrics of a state; the time does not count for the rates."""
        assert self._validation is not None
        started_s = time.perf_counter()
        found = self._validation.measure(state.tuned_parameters(), self._locked)
        self.rates.skip(time.perf_counter() - started_s)
        return found

    def _finish(self, step: int, measured: Measured) -> tuple[int, dict[str, float]]:
        """Waits for a step, and returns it with its measurements, which are checked."""
        values = {name: float(np.asarray(value)) for name, value in measured.metrics().items()}
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
        return step, values | self.rates.step_done()

    def _note(
        self, step: int, values: dict[str, float], metrics: MetricsWriter, report: Callable[[Progress], None]
    ) -> None:
        """Writes a step's metrics and reports them."""
        # What is written must not depend on where a run was interrupted.
        is_due = step % self._execution.log_every_steps == 0 or step in (1, self._num_steps)
        if is_due or self._validates_after(step):
            metrics.write(step, values)
        report(Progress(step, self._num_steps, self._batch_size, values))
