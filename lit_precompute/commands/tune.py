"""lit-tune: trains a text tower on an embedding dataset; its subcommands list towers and export a tuned model."""

import logging
import resource
import shlex
import sys
import time
from typing import TYPE_CHECKING

import rich.console
import tyro

from lit_precompute.commands.arguments import expand_homes, refuse_repeated
from lit_precompute.commands.console import (
    card,
    duration,
    errors_as_messages,
    fail,
    find_modules_here,
    is_debugging,
    make_console,
    take_debug_flag,
)
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest, interruptible
from lit_precompute.commands.tune_export import Export
from lit_precompute.commands.tune_flags import Arguments, parse
from lit_precompute.commands.tune_towers import Towers
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import open_selection
from lit_precompute.schemas.wording import counted
from lit_precompute.tune.training.run_directory import RunDirectory, tables_read

if TYPE_CHECKING:
    from lit_precompute.towers.tokenizers import TextLengths
    from lit_precompute.tune.training.trainer import Progress, TrainingResult

# Without one of these it trains.
_SUBCOMMANDS = {"towers": Towers, "export": Export}
_MANY_TIMES = 3  # so many rows read for each that is used are worth a word


# Below this share of the time, that steps wait for data is not worth a word.
_SHOWN_SHARE = 0.01


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-tune`; exits with 0, 1 (training failed), 2 (wrong input) or 130 (interrupted)."""
    take_debug_flag(sys.argv)
    expand_homes(sys.argv)
    # Warnings of libraries, without log prefixes.
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    if not is_debugging():  # Orbax's threads log tracebacks of errors that are raised here, too
        for name in ("absl", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with interruptible("run the same command again to resume from the last checkpoint"), errors_as_messages():
        find_modules_here()
        refuse_repeated(sys.argv)
        if (subcommand := _SUBCOMMANDS.get("".join(sys.argv[1:2]))) is not None:
            name = f"lit-tune {sys.argv[1]}"
            tyro.cli(subcommand, prog=name, args=sys.argv[2:]).run(make_console())
            return
        arguments = parse(sys.argv[1:])
        with EmbeddingDataset.open(arguments.dataset, tables=tables_read(arguments.recipe)) as dataset:
            _tune(dataset, arguments)


def describe(progress: "Progress") -> str:
    """Returns one line with step, loss, scale, rate, how much of the time steps waited for data, and time left."""
    metrics = progress.metrics
    rate = metrics["pairs_per_second"]
    words = f"step {progress.step:,}/{progress.num_steps:,}  loss {metrics['loss']:.4f}  scale {metrics['scale']:.1f}"
    words += f"  {rate:,.0f} pairs/s"
    if (share := metrics["waiting_share"]) >= _SHOWN_SHARE:
        words += f"  {share:.0%} waiting for data"
    left_s = (progress.num_steps - progress.step) * progress.batch_size / rate
    return f"{words}  {duration(left_s)} left" if progress.step < progress.num_steps else words


def describe_lengths(lengths: "TextLengths", max_tokens: int) -> str:
    """Returns one line with the lengths of texts, and the share of them that is cut."""
    quantiles = f"90% up to {lengths.percentile_90:,}, 99% up to {lengths.percentile_99:,}, longest {lengths.longest:,}"
    share = f"{lengths.num_cut / lengths.num_texts:.1%}" if lengths.num_cut else "none"
    return f"texts: median {lengths.median:,} pieces, {quantiles}; --text.max-tokens {max_tokens} cuts {share} of them"


def _tune(dataset: EmbeddingDataset, arguments: Arguments) -> None:
    console = make_console()
    selection = None if arguments.selection is None else open_selection(arguments.selection, dataset)
    directory = RunDirectory(arguments.output, selection)
    if directory.is_finished(dataset, arguments.recipe):
        console.print(f"{arguments.output}: already finished; the model is {directory.model}")
        return
    started_s = time.monotonic()
    from lit_precompute.tune.training.failures import TrainingError
    from lit_precompute.tune.training.trainer import Trainer, TrainingStopped

    try:
        trainer = Trainer(dataset, arguments.recipe, arguments.output, arguments.execution, selection)
    except TrainingError as error:
        fail(error, status=1)
    num_left_out, num_blank = trainer.batches.num_rows_without_text, trainer.batches.num_blank_texts
    console.print(
        f"{trainer.batches.num_rows:,} pairs of {dataset.path}"
        + (f", selected by {arguments.selection}" if selection is not None else "")
        + (f" ({counted(num_left_out, 'image')} without texts left out)" if num_left_out else "")
        + f", {trainer.num_parameters:,} parameters, "
        + f"{counted(trainer.num_steps, 'step')} of {arguments.recipe.batch_size:,}"
    )
    if trainer.batches.num_rows_read >= _MANY_TIMES * trainer.batches.num_rows:
        console.print(
            f"each epoch reads {trainer.batches.num_rows_read:,} rows, whole blocks, to use "
            f"{trainer.batches.num_rows:,}; a --memory-budget-bytes that holds these reads each block once"
        )
    if num_blank:
        console.print(f"{counted(num_blank, 'blank text')} left out")
    if trainer.text_lengths is not None:
        console.print(describe_lengths(trainer.text_lengths, arguments.recipe.text.max_tokens))
    for note in trainer.text_notes:
        console.print(note)
    if caution := dataset.manifest.tower.caution:
        console.print(caution)
    if trainer.first_step:
        console.print(f"resuming after step {trainer.first_step:,}")
    try:
        with StopRequest(console, after="this step") as stop, ProgressDisplay(console) as display:
            result = trainer.run(lambda done: display.show(describe(done), done.step, done.num_steps), stop)
    except TrainingStopped as stopped:
        saved = f"step {stopped.step:,} is saved"
        fail(f"interrupted; {saved}, run the same command again to resume from there", INTERRUPTED)
    except TrainingError as error:
        fail(error, status=1)
    else:
        _conclude(console, arguments, result, time.monotonic() - started_s)


def _conclude(console: rich.console.Console, arguments: Arguments, result: "TrainingResult", seconds: float) -> None:
    """Prints the result and what to do next."""
    from lit_precompute.tune.training.plots import plot_losses

    plot = plot_losses(arguments.output)
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows = {
        "final loss": f"{result.final_loss:.4f}",
        "time": f"{seconds / 60:.1f} min, {result.pairs_per_second:,.0f} pairs/s, peak memory {peak / 1e9:.1f} GB",
        "curve": str(plot),
        "model": str(result.model),
    }
    console.print(card(rows.items()))
    console.print(f"next:  lit-eval retrieval --model {shlex.quote(str(result.model))} --dataset HELD-OUT-DATASET")
