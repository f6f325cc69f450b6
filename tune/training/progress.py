"""What a run reports: its progress after each step, that it was stopped, and its result."""

import pathlib
from typing import NamedTuple


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
    """The result of a run; the rate covers the steps of this process, and is 0 if none was left."""

    model: pathlib.Path
    num_steps: int
    final_loss: float
    pairs_per_second: float
