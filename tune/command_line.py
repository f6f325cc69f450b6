"""lit-tune: trains a text tower on an embedding dataset."""

import dataclasses
import sys
import time
from typing import Annotated

import rich.console
import tyro

from schemas import DatasetError, EmbeddingDataset
from tune.console import ProgressDisplay, fail, terminate_as_interrupt
from tune.recipes import RECIPES, Recipe
from tune.run_directory import RunDirectory
from tune.training import Trainer, TrainingError

_DESCRIPTION = """Trains a text tower against the image vectors of an embedding dataset; no picture is read.

Example:
  lit-tune --dataset cc12m-vit_l16 --recipe cc12m --output runs/first --optimizer.learning-rate 8e-4

A run that was stopped goes on with the same command. `lit-tune --recipe NAME --help` shows a recipe's values;
recipes: {recipes}."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """What a run needs beside its recipe.

    Attributes:
      dataset: directory of the embedding dataset.
      output: directory of the run; the tuned model is its folder `model`.
      recipe: name of the recipe whose fields follow.
      fields: fields of the recipe.
    """

    dataset: str
    output: str
    recipe: str = "demo"
    fields: Annotated[Recipe, tyro.conf.arg(name="")]


def parse(arguments: list[str]) -> Arguments:
    """Returns the parsed arguments; the named recipe's values are the defaults."""
    name = _recipe_name(arguments)
    if name not in RECIPES:
        fail(f"--recipe: unknown recipe '{name}'; there are {', '.join(RECIPES)}")

    defaults = _with_one_duration(RECIPES[name], arguments)

    def make(
        dataset: str, output: str, fields: Annotated[Recipe, tyro.conf.arg(name="")] = defaults, recipe: str = name
    ) -> Arguments:
        """Takes what Arguments has.

        Args:
          dataset: Directory of the embedding dataset.
          output: Directory of the run; the tuned model is its folder `model`.
          fields: Fields of the recipe.
          recipe: Name of the recipe whose values are the defaults below.
        """
        return Arguments(dataset=dataset, output=output, recipe=recipe, fields=fields)

    description = _DESCRIPTION.format(recipes=", ".join(RECIPES))
    return tyro.cli(make, prog="lit-tune", description=description, args=arguments)


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
    terminate_as_interrupt()
    console = rich.console.Console(soft_wrap=True, highlight=False)
    try:
        arguments = parse(sys.argv[1:])
        if RunDirectory(arguments.output).is_finished():
            RunDirectory(arguments.output).claim(EmbeddingDataset.open(arguments.dataset), arguments.fields)
            console.print(f"{arguments.output}: finished before; the model is {arguments.output}/model")
            return
        _train(arguments, console)
    except KeyboardInterrupt:
        fail("interrupted; run the same command again to go on from the last checkpoint", status=130)
    except TrainingError as error:
        fail(error, status=1)
    except (DatasetError, ValueError) as error:
        fail(error)


def _train(arguments: Arguments, console: rich.console.Console) -> None:
    started = time.monotonic()
    with EmbeddingDataset.open(arguments.dataset) as dataset:
        trainer = Trainer(dataset, arguments.fields, arguments.output)
        left_out = trainer.batches.num_rows_without_text
        console.print(
            f"{trainer.batches.num_rows:,} pairs of {dataset.path}"
            + (f" ({left_out:,} pictures without a text left out)" if left_out else "")
            + f", {trainer.num_parameters:,} parameters, {trainer.num_steps:,} steps of {arguments.fields.batch_size:,}"
        )
        if trainer.first_step:
            console.print(f"going on after step {trainer.first_step:,}")
        with ProgressDisplay(console) as display:
            model = trainer.run(display.show)
    console.print(f"tuned in {time.monotonic() - started:.0f} s; the model is {model}")
    console.print(f"next:  lit-eval retrieval --model {model} --dataset HELD-OUT-DATASET", markup=False)


if __name__ == "__main__":
    main()
