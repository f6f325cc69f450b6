"""lit-tune: trains a text tower on an embedding dataset."""

import resource
import sys
import time
from typing import TYPE_CHECKING

import rich.console

from lit_precompute.commands.tune_console import (
    ProgressDisplay,
    StopRequest,
    fail,
    show_warnings,
    table,
    terminate_as_interrupt,
)
from lit_precompute.commands.tune_flags import Arguments, parse
from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.tune.training.run_directory import TABLES_READ, RunDirectory

if TYPE_CHECKING:
    from lit_precompute.tune.training.trainer import TrainingResult


def main() -> None:
    """Entry point of `lit-tune`; exits with 0, 1 (training failed), 2 (wrong input) or 130 (interrupted)."""
    terminate_as_interrupt()
    show_warnings()
    try:
        arguments = parse(sys.argv[1:])
        with EmbeddingDataset.open(arguments.dataset, tables=TABLES_READ) as dataset:
            _tune(dataset, arguments)
    except KeyboardInterrupt:
        fail("interrupted; run the same command again to go on from the last checkpoint", status=130)
    except (DatasetError, ValueError) as error:
        fail(error)


def _tune(dataset: EmbeddingDataset, arguments: Arguments) -> None:
    console = rich.console.Console(soft_wrap=True, highlight=False, markup=False)
    directory = RunDirectory(arguments.output)
    if directory.is_finished():
        directory.claim(dataset, arguments.recipe)
        directory.release()
        console.print(f"{arguments.output}: finished before; the model is {directory.model}")
        return
    started_s = time.monotonic()
    from lit_precompute.tune.training.trainer import Trainer, TrainingError, TrainingStopped

    trainer = Trainer(dataset, arguments.recipe, arguments.output, arguments.execution)
    left_out = trainer.batches.num_rows_without_text
    console.print(
        f"{trainer.batches.num_rows:,} pairs of {dataset.path}"
        + (f" ({left_out:,} pictures without a text left out)" if left_out else "")
        + f", {trainer.num_parameters:,} parameters, {trainer.num_steps:,} steps of {arguments.recipe.batch_size:,}"
    )
    if trainer.first_step:
        console.print(f"going on after step {trainer.first_step:,}")
    try:
        with StopRequest(console) as stop, ProgressDisplay(console) as display:
            result = trainer.run(display.show, stop)
    except TrainingStopped as stopped:
        fail(f"interrupted; step {stopped.step:,} is saved, run the same command again to go on from there", status=130)
    except TrainingError as error:
        fail(error, status=1)
    else:
        _conclude(console, arguments, result, time.monotonic() - started_s)


def _conclude(console: rich.console.Console, arguments: Arguments, result: "TrainingResult", seconds: float) -> None:
    """Prints what came of it and what to do next."""
    from lit_precompute.tune.training.plots import plot_losses

    plot = plot_losses(arguments.output)
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows = {
        "final loss": f"{result.final_loss:.4f}",
        "time": f"{seconds / 60:.1f} min, {result.pairs_per_second:,.0f} pairs/s, {peak / 1e9:.1f} GB at most",
        "curve": str(plot),
        "model": str(result.model),
    }
    console.print(table(rows))
    console.print(f"next:  lit-eval retrieval --model {result.model} --dataset HELD-OUT-DATASET")


if __name__ == "__main__":
    main()
