"""What a run reports: its progress after each step, that it was stopped, and its result."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from lit_precompute.tune.training.failures import TrainingError
from lit_precompute.tune.training.run_directory import RunDirectory

MINIVAL = "minival/"
"""What the names of metrics of the held-out rows begin with; only steps after which there is validation have them."""


def minival_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns a step's metrics of the held-out rows, without their prefix; none of a step without validation."""
    return {name.removeprefix(MINIVAL): value for name, value in metrics.items() if name.startswith(MINIVAL)}


class TrainingStopped(Exception):  # noqa: N818 -- requested, so not an error
    """Training was stopped on request; `step` steps are done and saved."""

    def __init__(self, step: int):
        """Takes the number of steps done."""
        super().__init__(f"stopped after step {step}")
        self.step = step


class Progress(NamedTuple):
    """What is reported after each step: `step` steps of `num_steps` are done."""

    step: int
    num_steps: int
    batch_size: int
    metrics: dict[str, float]


class TrainingResult(NamedTuple):
    """The result of a run; the rate covers the steps of this process, and is 0 if none was left.

    `minival` has the figures of the held-out rows after the last step, by name; it is empty if no row is held out.
    """

    model: pathlib.Path
    num_steps: int
    final_loss: float
    pairs_per_second: float
    minival: dict[str, float]


def read_final_metrics(directory: RunDirectory, num_steps: int) -> dict[str, float]:
    """Returns the metrics of a run's last step, which an earlier process may have written.

    Raises:
      TrainingError: its line is missing or damaged.
    """
    from lit_precompute.tune.training.metrics import read_metrics

    for line in reversed(read_metrics(directory.metrics)):
        if line["step"] == num_steps:
            return line
    raise TrainingError(
        f"{directory.metrics}: the line of the last step, {num_steps}, is missing or damaged; remove "
        f"{directory.checkpoints / str(num_steps)} and run the same command again, which repeats the last steps"
    )
