"""lit-tune: trains a text tower on an embedding dataset."""

import dataclasses
import logging
import resource
import sys
import time
from typing import TYPE_CHECKING, Annotated

import rich.console
import tyro

from lit_precompute.commands.console import card, duration, errors_as_messages, fail, make_console
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest, interruptible
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.config.recipe import PURPOSES, RECIPES, Recipe
from lit_precompute.tune.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from lit_precompute.tune.training.trainer import Progress, TrainingResult

_DESCRIPTION = """Trains a text tower against the image embeddings of a dataset; no image is read.

  lit-tune --dataset emoji --recipe demo --output runs/first
  lit-tune --dataset cc12m-vit_l16 --recipe cc12m --output runs/slow --optimizer.learning-rate 8e-4

A run that was stopped goes on with the same command. The tuned model is OUTPUT/model: give it to lit-eval.
A recipe is a complete configuration; its values are the defaults below (lit-tune --recipe NAME --help):

{recipes}"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """What a run needs.

    Attributes:
      dataset: directory of the embedding dataset.
      output: directory of the run; the tuned model is its folder `model`.
      fields: the recipe, with what was overridden.
    """

    dataset: str
    output: str
    fields: Recipe


def parse(arguments: list[str]) -> Arguments:
    """Returns the parsed arguments; the named recipe's values are the defaults."""
    name = _recipe_name(arguments)
    if name not in RECIPES:
        fail(f"--recipe: there is no recipe '{name}'; there are {', '.join(RECIPES)}")
    defaults = _with_one_duration(RECIPES[name], arguments)

    def make(
        dataset: str, output: str, fields: Annotated[Recipe, tyro.conf.arg(name="")] = defaults, recipe: str = name
    ) -> Arguments:
        """Takes what Arguments has.

        Args:
          dataset: Directory of the embedding dataset.
          output: Directory of the run; made where it is missing. A run that was begun there goes on.
          fields: Fields of the recipe.
          recipe: Name of the recipe whose values are the defaults below.
        """
        del recipe  # it decided the defaults
        return Arguments(dataset=dataset, output=output, fields=fields)

    width = max(map(len, PURPOSES))
    recipes = "\n".join(f"  {name:{width}}  {purpose}" for name, purpose in PURPOSES.items())
    return tyro.cli(make, prog="lit-tune", description=_DESCRIPTION.format(recipes=recipes), args=arguments)


def _recipe_name(arguments: list[str]) -> str:
    """Returns the recipe's name, which decides the defaults of all that is parsed after."""
    for place, argument in enumerate(arguments):
        if argument.startswith("--recipe="):
            return argument.removeprefix("--recipe=")
        if argument == "--recipe" and place + 1 < len(arguments):
            return arguments[place + 1]
    return "demo"


def _with_one_duration(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Returns the recipe without the duration it names, where the user gives the other one."""
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    if "--num-steps" in given and "--num-epochs" not in given:
        return dataclasses.replace(recipe, num_steps=recipe.optimizer.warmup_steps + 1, num_epochs=None)
    if "--num-epochs" in given and "--num-steps" not in given:
        return dataclasses.replace(recipe, num_steps=None, num_epochs=1)
    return recipe


def main() -> None:
    """Entry point of `lit-tune`; exits with 0, 1 (training failed), 2 (wrong input) or 130 (interrupted)."""
    # Warnings of the libraries below, without the trappings of a log.
    logging.basicConfig(format="note: %(message)s", level=logging.WARNING)
    with interruptible("run the same command again to go on from the last checkpoint"), errors_as_messages():
        arguments = parse(sys.argv[1:])
        with EmbeddingDataset.open(arguments.dataset) as dataset:
            _tune(dataset, arguments)


def describe(progress: "Progress") -> str:
    """Returns step, loss, scale, rate and time left in a line."""
    metrics = progress.metrics
    rate = metrics["pairs_per_second"]
    words = f"step {progress.step:,}/{progress.num_steps:,}  loss {metrics['loss']:.4f}  scale {metrics['scale']:.1f}"
    words += f"  {rate:,.0f} pairs/s"
    left_s = (progress.num_steps - progress.step) * progress.batch_size / rate
    return f"{words}  {duration(left_s)} left" if progress.step < progress.num_steps else words


def _tune(dataset: EmbeddingDataset, arguments: Arguments) -> None:
    console = make_console()
    directory = RunDirectory(arguments.output)
    if directory.is_finished():
        directory.claim(dataset, arguments.fields)
        console.print(f"{arguments.output}: finished before; the model is {directory.model}")
        return
    started_s = time.monotonic()
    from lit_precompute.tune.training.trainer import Trainer, TrainingError, TrainingStopped

    trainer = Trainer(dataset, arguments.fields, arguments.output)
    left_out = trainer.batches.num_rows_without_text
    console.print(
        f"{trainer.batches.num_rows:,} pairs of {dataset.path}"
        + (f" ({left_out:,} images without a text left out)" if left_out else "")
        + f", {trainer.num_parameters:,} parameters, {trainer.num_steps:,} steps of {arguments.fields.batch_size:,}"
    )
    if trainer.first_step:
        console.print(f"going on after step {trainer.first_step:,}")
    try:
        with StopRequest(console, after="this step") as stop, ProgressDisplay(console) as display:
            result = trainer.run(lambda done: display.show(describe(done), done.step, done.num_steps), stop)
    except TrainingStopped as stopped:
        saved = f"step {stopped.step:,} is saved"
        fail(f"interrupted; {saved}, run the same command again to go on from there", INTERRUPTED)
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
    console.print(card(rows.items()))
    console.print(f"next:  lit-eval retrieval --model {result.model} --dataset HELD-OUT-DATASET")
