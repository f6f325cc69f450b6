"""The flags of lit-tune: a recipe's fields and the execution settings, with the named recipe's values as defaults.

Promises: every field is a flag under its path (`--optimizer.learning-rate`); `--PART.kind` chooses the kind of a part,
and with it the part's other flags. No JAX is imported.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from typing import Annotated, Any

import tyro

from lit_precompute.towers.options import OptionsError, TaggedOptions
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.recipes import RECIPES, NamedRecipe

DEFAULT_RECIPE = "demo"
# Flags of earlier versions, and what they are called now.
_ALIASES = {"--loss.tile-rows": "--tile-rows", "--optimizer.name": "--optimizer.kind"}
_DESCRIPTION = """Trains a text tower against the embeddings of an embedding dataset; no image is read.

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
      recipe: the named recipe, with what was overridden.
      execution: how to compute it here.
    """

    dataset: str
    output: str
    recipe: Recipe
    execution: Execution


def parse(arguments: list[str]) -> Arguments:
    """Returns the parsed arguments; the named recipe's values are the defaults.

    Raises:
      OptionsError: an unknown recipe or kind, or values that break a rule.
    """
    arguments = [_renamed(argument) for argument in arguments]
    named = _named_recipe(arguments)
    defaults = _with_given_kinds(_with_one_duration(named.recipe, arguments), arguments)
    arguments = _without_modules(arguments)
    fields = _fields_class(defaults)
    default_fields = fields(**{field.name: getattr(defaults, field.name) for field in dataclasses.fields(defaults)})

    def make(
        dataset: str,
        output: str,
        recipe: str = named.name,
        fields: Annotated[Any, tyro.conf.arg(name="")] = default_fields,
        execution: Annotated[Execution, tyro.conf.arg(name="")] = named.execution,
    ) -> Arguments:
        """Takes what Arguments has.

        Args:
          dataset: Directory of the embedding dataset.
          output: Directory of the run; made where it is missing. A run that was begun there goes on.
          recipe: Name of the recipe whose values are the defaults below.
          fields: What is trained.
          execution: How it is computed here.
        """
        del recipe  # it decided the defaults
        given = {field.name: getattr(fields, field.name) for field in dataclasses.fields(fields)}
        return Arguments(dataset=dataset, output=output, recipe=Recipe(**given), execution=execution)

    make.__annotations__["fields"] = Annotated[fields, tyro.conf.arg(name="")]
    make.__annotations__["execution"] = Annotated[Execution, tyro.conf.arg(name="")]
    width = max(map(len, RECIPES))
    recipes = "\n".join(f"  {each.name:{width}}  {each.purpose}" for each in RECIPES.values())
    parsed = tyro.cli(make, prog="lit-tune", description=_DESCRIPTION.format(recipes=recipes), args=arguments)
    parsed.execution.check_fits(parsed.recipe)
    return parsed


def _renamed(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return _ALIASES.get(name.replace("_", "-"), name) + equals + value


def _given(arguments: list[str], flag: str) -> str | None:
    """Returns the value that a flag is given, `--flag value` or `--flag=value`; None without it."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            return value if equals else next(iter(arguments[place + 1 : place + 2]), None)
    return None


def _named_recipe(arguments: list[str]) -> NamedRecipe:
    name = _given(arguments, "--recipe") or DEFAULT_RECIPE
    if name not in RECIPES:
        raise OptionsError(f"--recipe: there is no recipe '{name}'; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def _with_one_duration(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Returns the recipe without the duration it names, where the user gives the other one."""
    num_steps, num_epochs = _given(arguments, "--num-steps"), _given(arguments, "--num-epochs")
    if num_steps is not None and num_epochs is None:
        return dataclasses.replace(recipe, num_steps=recipe.optimizer.warmup_steps + 1, num_epochs=None)
    if num_epochs is not None and num_steps is None:
        return dataclasses.replace(recipe, num_steps=None, num_epochs=1)
    return recipe


def _with_given_kinds(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Returns the recipe with each part of the kind that a flag asks for, with that kind's defaults.

    What options of every kind have, such as a learning rate, keeps the recipe's value.
    """
    for name, options in _tagged_parts(recipe).items():
        kind = _given(arguments, f"--{name.replace('_', '-')}.kind")
        if kind is None or kind == options.kind:
            continue
        chosen = options.kinds.options_class(kind)
        kept = {field: getattr(options, field) for field in _common_fields(options) - {"kind"}}
        recipe = dataclasses.replace(recipe, **{name: chosen(**kept)})
    return recipe


def _common_fields(options: TaggedOptions) -> set[str]:
    """Returns the fields that options of every kind of this part have."""
    (base,) = (each for each in type(options).__mro__ if "kinds" in vars(each) and each is not TaggedOptions)
    return {field.name for field in dataclasses.fields(base)}


def _without_modules(arguments: list[str]) -> list[str]:
    """Returns the arguments with `--PART.kind module:name` as `name`: the module has been imported."""
    before = ["", *arguments]
    return [
        re.sub(r"^(--[\w.-]+\.kind=)?[\w.]+:(\w[\w-]*)$", r"\1\2", argument)
        if ".kind=" in argument or previous.endswith(".kind")
        else argument
        for previous, argument in zip(before, arguments, strict=False)
    ]


def _tagged_parts(recipe: Recipe) -> dict[str, TaggedOptions]:
    parts = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return {name: part for name, part in parts.items() if isinstance(part, TaggedOptions)}


def _fields_class(recipe: Recipe) -> type[Any]:
    """Returns a dataclass of the recipe's fields, each part of its kind's class, so that it has that kind's flags."""
    parts = _tagged_parts(recipe)
    hints = typing.get_type_hints(Recipe) | {name: type(part) for name, part in parts.items()}
    made = dataclasses.make_dataclass("Fields", [(each.name, hints[each.name]) for each in dataclasses.fields(recipe)])
    made.__doc__ = Recipe.__doc__
    for name, part in parts.items():
        kinds = ", ".join(part.kinds.names())
        made.__doc__ = re.sub(rf"(\n +{name}: .*)\.", rf"\1; kinds: {kinds}.", made.__doc__ or "")
    return made
