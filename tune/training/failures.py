"""Why training fails, in one sentence that says what to do: numbers that are not finite, a full device, a full disk."""

import contextlib
import pathlib
import re
from collections.abc import Iterator

import jax

from lit_precompute.schemas.wording import is_full_disk
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.losses.tiles import choose_sizes


class TrainingError(RuntimeError):
    """Training failed; the message says at which step, why, and what to do."""


class NotFiniteError(TrainingError):
    """A loss, gradient or parameter is not finite; the same run would fail again."""


def not_finite(step: int, words: str, checkpoints: pathlib.Path, kept: int | None) -> NotFiniteError:
    """Returns the error of a step whose numbers are not finite.

    Args:
      step: the step.
      words: what was measured.
      checkpoints: where checkpoints are.
      kept: step of the newest one, if there is any.
    """
    where = f"the last good checkpoint, of step {kept:,}, is kept" if kept else "no checkpoint was due before"
    return NotFiniteError(
        f"step {step:,}: {words}; {where} in {checkpoints}. The same command would fail again: train to another "
        "--output with a lower --optimizer.learning-rate, a longer --optimizer.warmup-steps or an --optimizer.clip-norm"
    )


@contextlib.contextmanager
def explained_failures(output: pathlib.Path, recipe: Recipe, execution: Execution) -> Iterator[None]:
    """Turns the errors of a full device or disk, whichever library raises them, into a TrainingError."""
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise TrainingError(
                f"{output}: no space left on the disk{_file_in(error)}; free some and run the same command again: it "
                "resumes from the last checkpoint that was saved"
            ) from error
        if not isinstance(error, jax.errors.JaxRuntimeError) or "RESOURCE_EXHAUSTED" not in str(error):
            raise
        pairs, reason = execution.micro_batch_size or recipe.batch_size, str(error).partition("\n")[0]
        sizes = choose_sizes(execution.tile_rows, execution.tile_columns)
        raise TrainingError(
            f"a step does not fit the device's memory ({reason}): give a smaller --micro-batch-size than {pairs:,}, "
            f"then a smaller --tile-rows than {sizes.rows:,} and --tile-columns than {sizes.columns:,}; the result is "
            "the same, and the run resumes from its last checkpoint"
        ) from error


def _file_in(error: Exception) -> str:
    """Returns which file was being written, where the error says so."""
    if isinstance(error, OSError):
        return f", for {error.filename}" if error.filename else ""
    named = re.search('local file "([^"]+)"', str(error))  # TensorStore's words
    return f", for {named[1]}" if named else ""
