"""The flags of lit-tune: a recipe's fields and the execution settings; the named recipe gives the defaults.

Promises: every field is a flag named by its path (`--optimizer.learning-rate`); `--PART.kind` selects the kind of a
part, and with it the part's other flags. Does not import JAX.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple

import tyro

from lit_precompute.commands.console import DEBUG_HELP
from lit_precompute.commands.tune.kinds import narrowed, widened, with_given_kinds
from lit_precompute.commands.tune.typed import given, renamed, without, without_modules
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.checks import check_recipe
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe, Setting
from lit_precompute.tune.config.starts import check_setting, start_from
from lit_precompute.tune.recipes import SHORT, NamedRecipe, recipe_from

DEFAULT_RECIPE = "demo"
REPEATABLE = ("--dataset", "--selection", "--sweep")
_WEIGHTS = "--text-tower.weights"
_OTHER_DURATION = {"--num-steps": "--num-epochs", "--num-epochs": "--num-steps"}
_DESCRIPTION = """Trains a text tower against the embeddings of an embedding dataset; no image is read.

  lit-tune --dataset emoji --recipe demo --output runs/first
  lit-tune --dataset cc12m-vit_l16 --recipe cc12m --output runs/slow --optimizer.learning-rate 8e-4
  lit-tune --dataset emoji --output runs/sweep --sweep optimizer.learning_rate=1e-3,8e-4,3e-4 --sweep seed=0,1,2

lit-tune recipes lists the recipes, lit-tune plan says what a training takes, lit-tune towers lists the text towers that
have names, and lit-tune export MODEL writes a tuned one for other programs.

The same command resumes a run that was stopped. The tuned model is written to OUTPUT/model, for lit-eval.
A recipe is a complete configuration: its values are the defaults of the flags below, and each can be overridden.
lit-tune --recipe NAME --help shows the values of another recipe: of these, or of a row of the paper's Table 10.

{recipes}

{debug}"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """The parsed command line.

    Attributes:
      datasets: directories of the embedding datasets, at least one.
      selections: files that name the rows to train on, each of one dataset; of any other dataset, all.
      output: directory of the run; the tuned model is its folder `model`.
      recipe: the named recipe with its overrides.
      execution: how to compute it here.
      sweep: values of the recipe's fields, such as `seed=0,1,2`: a run for each combination; none: one run.
      evaluate: directory of the embedding dataset to evaluate a sweep's models on.
      measure: what a sweep's runs are compared by.
    """

    datasets: tuple[str, ...]
    selections: tuple[str, ...]
    output: str
    recipe: Recipe
    execution: Execution
    sweep: tuple[str, ...] = ()
    evaluate: str | None = None
    measure: str | None = None


class Defaults(NamedTuple):
    """What the flags begin with.

    Attributes:
      named: the recipe that was chosen.
      fields: its fields, with the start and the kinds that the arguments choose; as `narrowed`.
      arguments: those that are left to parse.
    """

    named: NamedRecipe
    fields: Any
    arguments: list[str]


def read_defaults(arguments: list[str]) -> Defaults:
    """Returns the defaults of the flags.

    Raises:
      OptionsError: the recipe or a kind is unknown, or a value breaks a rule.
      OSError: the recipe's file cannot be read.
    """
    arguments = [renamed(argument) for argument in arguments]
    named = recipe_from(given(arguments, "--recipe") or DEFAULT_RECIPE)
    weights, start = given(arguments, _WEIGHTS), named.recipe
    if weights == "None":
        weights, tower = None, dataclasses.replace(start.text_tower, weights=None)
        start = dataclasses.replace(start, text_tower=tower)
    defaults = start_from(
        start,
        weights,
        setting=given(arguments, "--setting"),
        kind=given(arguments, "--text-tower.kind"),
    )
    if defaults.text_tower.weights is None:
        arguments = without(arguments, _WEIGHTS)
    defaults = with_given_kinds(_with_one_duration(defaults, arguments), arguments)
    return Defaults(named, narrowed(defaults), without_modules(arguments))


def parse(arguments: list[str]) -> Arguments:
    """Returns the parsed arguments; the named recipe's values are the defaults.

    Raises:
      OptionsError: the recipe or a kind is unknown, or a value breaks a rule.
      OSError: the recipe's file cannot be read.
    """
    named, fields_of_kinds, arguments = read_defaults(arguments)

    def make(
        dataset: tyro.conf.UseAppendAction[tuple[str, ...]],
        output: str,
        recipe: str = named.name,
        selection: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
        setting: Setting | None = None,
        sweep: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="FIELD=VALUE,...")] = (),
        evaluate: str | None = None,
        measure: str | None = None,
        fields: Annotated[Any, tyro.conf.arg(name="")] = fields_of_kinds,
        execution: Annotated[Execution, tyro.conf.arg(name="")] = named.execution,
    ) -> Arguments:
        """Returns what was parsed; its signature is the command line.

        Args:
          dataset: Directory of the embedding dataset; several, each with this flag, are mixed as --data.mixture says.
          output: Directory of the run, created if needed; a run that was begun there is resumed.
          recipe: Name or file (.toml, .json) of the recipe that the defaults below come from.
          selection: File of `lit-data select` that names the rows of a dataset to train on, no others; may be repeated.
          setting: How the text tower starts: Lu at random, LU from --text-tower.weights, LL locked but for its head.
          sweep: Values of a field of the recipe; may be repeated. Trains each combination into a folder of its own.
          evaluate: Embedding dataset on which the models of a sweep retrieve images and texts.
          measure: What a sweep's runs are compared by: final_loss, mean_recall, minival_mean_recall and so on.
          fields: What is trained.
          execution: How it is computed here.
        """
        del recipe  # the defaults already come from it
        chosen = widened(fields)
        check_setting(chosen, setting)
        check_recipe(chosen)
        if not dataset:
            raise OptionsError("--dataset must be given: the directory of an embedding dataset")
        return Arguments(
            datasets=dataset,
            selections=selection,
            output=output,
            recipe=chosen,
            execution=execution,
            sweep=sweep,
            evaluate=evaluate,
            measure=measure,
        )

    make.__annotations__["fields"] = Annotated[type(fields_of_kinds), tyro.conf.arg(name="")]
    make.__annotations__["execution"] = Annotated[Execution, tyro.conf.arg(name="")]
    width = max(map(len, SHORT))
    recipes = "\n".join(f"  {each.name:{width}}  {each.purpose}" for each in SHORT.values())
    parsed = tyro.cli(
        make, prog="lit-tune", description=_DESCRIPTION.format(recipes=recipes, debug=DEBUG_HELP), args=arguments
    )
    parsed.execution.check_fits(parsed.recipe)
    _check_sweep(parsed, arguments)
    return parsed


def _check_sweep(parsed: Arguments, arguments: list[str]) -> None:
    """Raises OptionsError where a field is both swept and given, or a flag of a sweep is given without one."""
    for text in parsed.sweep:
        flag = "--" + text.partition("=")[0].replace("_", "-").lstrip("-")
        if given(arguments, flag) is not None:
            raise OptionsError(f"{flag} is given twice, as a flag and in --sweep; leave the flag out")
        other = _OTHER_DURATION.get(flag)
        if other is not None and given(arguments, other) is not None:
            raise OptionsError(f"{other} says how long to train, and so does {flag} in --sweep; leave {other} out")
    for name in ("evaluate", "measure"):
        if getattr(parsed, name) is not None and not parsed.sweep:
            raise OptionsError(f"--{name} is of a sweep; give --sweep, too, or use lit-eval")


def _with_one_duration(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Returns the recipe without its own duration (steps or epochs) if the user gives the other one."""
    num_steps, num_epochs = given(arguments, "--num-steps"), given(arguments, "--num-epochs")
    if num_steps is not None and num_epochs is None:
        return dataclasses.replace(recipe, num_steps=recipe.optimizer.min_num_steps(), num_epochs=None)
    if num_epochs is not None and num_steps is None:
        return dataclasses.replace(recipe, num_steps=None, num_epochs=1)
    return recipe
