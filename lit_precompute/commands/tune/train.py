"""`lit-tune` without a subcommand: trains, with progress, and says what was tuned and what comes next."""

import contextlib
import resource
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import rich.console

from lit_precompute.commands.console import card, duration, fail, make_console
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest
from lit_precompute.commands.tune.flags import Arguments
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.wording import counted
from lit_precompute.tune.training.datasets import TrainedOn, trained_on
from lit_precompute.tune.training.run_directory import RunDirectory, tables_read

if TYPE_CHECKING:
    from lit_precompute.towers.tokenizers import TextLengths
    from lit_precompute.tune.data.parts import Share
    from lit_precompute.tune.training.progress import Progress, TrainingResult
    from lit_precompute.tune.training.trainer import Trainer

_MANY_TIMES = 3  # so many rows read for each that is used are worth a word
# Below this share of the time, that steps wait for data is not worth a word.
_SHOWN_SHARE = 0.01


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


def describe_minival(found: Mapping[str, float]) -> str:
    """Returns one line with the figures of the held-out rows."""
    ways = [
        f"{way.replace('_', ' ')} R@1 {100 * found[f'{way}_R@1']:.1f}% R@5 {100 * found[f'{way}_R@5']:.1f}%"
        for way in ("image_to_text", "text_to_image")
    ]
    return f"{', '.join(ways)}, loss {found['loss']:.4f}"


def describe_lengths(field: str, lengths: "TextLengths", max_tokens: int) -> str:
    """Returns one line with the lengths of a field's texts, and the share of them that is cut."""
    quantiles = f"90% up to {lengths.percentile_90:,}, 99% up to {lengths.percentile_99:,}, longest {lengths.longest:,}"
    share = f"{lengths.num_cut / lengths.num_texts:.1%}" if lengths.num_cut else "none"
    return (
        f"{field}: median {lengths.median:,} pieces, {quantiles}; --text.max-tokens {max_tokens} cuts {share} of them"
    )


def train(arguments: Arguments) -> None:
    """Trains on the datasets, or resumes; exits with status 1 or 130 where that fails or is stopped."""
    with contextlib.ExitStack() as opened:
        tables, embeddings = tables_read(arguments.recipe), arguments.recipe.data.table
        datasets = [
            opened.enter_context(EmbeddingDataset.open(path, tables=tables, embeddings=embeddings))
            for path in arguments.datasets
        ]
        selections = [Selection.open(path) for path in arguments.selections]
        on = trained_on(datasets, selections, arguments.selections)
        _train(make_console(), on, selections, arguments)


def _train(
    console: rich.console.Console, on: Sequence[TrainedOn], selections: Sequence[Selection], arguments: Arguments
) -> None:
    datasets = [each.dataset for each in on]
    directory = RunDirectory(arguments.output, [each.selection for each in on])
    if directory.is_finished(datasets, arguments.recipe):
        console.print(f"{arguments.output}: already finished; the model is {directory.model}")
        return
    started_s = time.monotonic()
    from lit_precompute.tune.training.failures import TrainingError
    from lit_precompute.tune.training.progress import TrainingStopped, minival_of
    from lit_precompute.tune.training.trainer import Trainer

    try:
        trainer = Trainer(datasets, arguments.recipe, arguments.output, arguments.execution, selections)
    except TrainingError as error:
        fail(error, status=1)
    _introduce(console, trainer, on, arguments)
    try:
        with StopRequest(console, after="this step") as stop, ProgressDisplay(console) as display:

            def report(done: "Progress") -> None:
                display.show(describe(done), done.step, done.num_steps)
                if found := minival_of(done.metrics):
                    console.print(f"minival after step {done.step:,}: {describe_minival(found)}")

            result = trainer.run(report, stop)
    except TrainingStopped as stopped:
        saved = f"step {stopped.step:,} is saved"
        fail(f"interrupted; {saved}, run the same command again to resume from there", INTERRUPTED)
    except TrainingError as error:
        fail(error, status=1)
    else:
        _conclude(console, arguments, result, time.monotonic() - started_s)


def _introduce(
    console: rich.console.Console, trainer: "Trainer", on: Sequence[TrainedOn], arguments: Arguments
) -> None:
    """Says what is about to be trained, on what, and what is left out."""
    datasets = [each.dataset for each in on]
    of = datasets[0].path if len(datasets) == 1 else f"{len(datasets)} datasets"
    num_left_out, fields = trainer.batches.num_rows_without_text, trainer.batches.fields
    num_blank = sum(counts.num_blank for counts in fields.values())
    num_filtered = sum(counts.num_filtered for counts in fields.values())
    console.print(
        f"{trainer.batches.num_rows:,} pairs of {of}"
        + (f", selected by {', '.join(arguments.selections)}" if arguments.selections else "")
        + (f" ({counted(num_left_out, 'image')} without texts left out)" if num_left_out else "")
        + f", {trainer.num_parameters:,} parameters, "
        + f"{counted(trainer.num_steps, 'step')} of {arguments.recipe.batch_size:,}"
    )
    _introduce_rows(console, trainer.shares, on[0], arguments.recipe.data.held_out)
    if trainer.batches.num_rows_read >= _MANY_TIMES * trainer.batches.num_rows:
        console.print(
            f"each epoch reads {trainer.batches.num_rows_read:,} rows, whole blocks, to use "
            f"{trainer.batches.num_rows:,}; a --memory-budget-bytes that holds these reads each block once"
        )
    if num_blank:
        console.print(f"{counted(num_blank, 'blank text')} left out")
    if num_filtered:
        console.print(f"{counted(num_filtered, 'text')} left out that a camera gave")
    if len(fields) > 1:
        rows = ", ".join(f"{name} {counts.num_rows:,}" for name, counts in fields.items())
        console.print(f"images with a text in each field: {rows}; text.combine is {arguments.recipe.text.combine}")
    for field, lengths in trainer.text_lengths.items():
        console.print(describe_lengths(field, lengths, arguments.recipe.text.max_tokens))
    for note in trainer.text_notes:
        console.print(note)
    for caution in dict.fromkeys(dataset.tower.caution for dataset in datasets):
        if caution:
            console.print(caution)
    if trainer.first_step:
        console.print(f"resuming after step {trainer.first_step:,}")


def _introduce_rows(
    console: rich.console.Console, shares: Sequence["Share"], first: TrainedOn, num_held_out: int
) -> None:
    """Says what is seen of each dataset, and what is held out."""
    for share in shares:
        views = f"one of {share.num_views:,} views of each image in each epoch" if share.num_views else ""
        if len(shares) > 1:
            epochs = f"{share.num_rows:,} pairs, {share.num_epochs:.4g} epochs"
            console.print(f"  {share.path}: {epochs}" + (f", {views}" if views else ""))
        elif views:
            console.print(views)
    if num_held_out:
        selected = "" if first.selection is None else " selected"
        console.print(
            f"the first {num_held_out:,}{selected} rows of {first.dataset.path} are held out, and validated on"
        )


def _conclude(console: rich.console.Console, arguments: Arguments, result: "TrainingResult", seconds: float) -> None:
    """Prints the result and what to do next."""
    from lit_precompute.tune.training.plots import plot_losses

    plot = plot_losses(arguments.output)
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows = {
        "final loss": f"{result.final_loss:.4f}",
        **({"minival": describe_minival(result.minival)} if result.minival else {}),
        "time": f"{seconds / 60:.1f} min, {result.pairs_per_second:,.0f} pairs/s, peak memory {peak / 1e9:.1f} GB",
        "curve": str(plot),
        "model": str(result.model),
    }
    console.print(card(rows.items()))
    console.print(f"next:  lit-eval retrieval --model {shlex.quote(str(result.model))} --dataset HELD-OUT-DATASET")
