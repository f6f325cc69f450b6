"""The flags of lit-tune: a recipe's fields and the execution settings; the named recipe gives the defaults.

Promises: every field is a flag named by its path (`--optimizer.learning-rate`); `--PART.kind` selects the kind of a
part, and with it the part's other flags. Does not import JAX.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Any

import tyro

from lit_precompute.commands.console import DEBUG_HELP
from lit_precompute.towers.options import OptionsError, TaggedOptions, of_kind
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe, Setting
from lit_precompute.tune.config.starts import check_setting, start_from
from lit_precompute.tune.recipes import RECIPES, NamedRecipe

DEFAULT_RECIPE = "demo"
_WEIGHTS = "--text-tower.weights"
# Flags of earlier versions and their current names.
_ALIASES = {"--loss.tile-rows": "--tile-rows", "--optimizer.name": "--optimizer.kind"}
_DESCRIPTION = """Trains a text tower against the embeddings of an embedding dataset; no image is read.

  lit-tune --dataset emoji --recipe demo --output runs/first
  lit-tune --dataset cc12m-vit_l16 --recipe cc12m --output runs/slow --optimizer.learning-rate 8e-4
  lit-tune --dataset emoji --output runs/sweep --sweep optimizer.learning_rate=1e-3,8e-4,3e-4 --sweep seed=0,1,2

lit-tune towers lists the text towers that have names; lit-tune export MODEL writes a tuned one for other programs.

The same command resumes a run that was stopped. The tuned model is written to OUTPUT/model, for lit-eval.
A recipe is a complete configuration: its values are the defaults of the flags below, and each can be overridden.
lit-tune --recipe NAME --help shows the values of another recipe:

{recipes}

{debug}"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """The parsed command line.

    Attributes:
      dataset: directory of the embedding dataset.
      selection: file that names the rows to train on; None: all.
      output: directory of the run; the tuned model is its folder `model`.
      recipe: the named recipe with its overrides.
      execution: how to compute it here.
      sweep: values of the recipe's fields, such as `seed=0,1,2`: a run for each combination; none: one run.
      evaluate: directory of the embedding dataset to evaluate a sweep's models on.
      measure: what a sweep's runs are compared by.
    """

    dataset: str
    selection: str | None
    output: str
    recipe: Recipe
    execution: Execution
    sweep: tuple[str, ...] = ()
    evaluate: str | None = None
    measure: str | None = None


def parse(arguments: list[str]) -> Arguments:
    """Returns the parsed arguments; the named recipe's values are the defaults.

    Raises:
      OptionsError: the recipe or a kind is unknown, or a value breaks a rule.
    """
    arguments = [_renamed(argument) for argument in arguments]
    named = _named_recipe(arguments)
    defaults = start_from(
        named.recipe,
        _given(arguments, _WEIGHTS),
        setting=_given(arguments, "--setting"),
        kind=_given(arguments, "--text-tower.kind"),
    )
    if defaults.text_tower.weights is None:
        arguments = _without(arguments, _WEIGHTS)
    defaults = _with_given_kinds(_with_one_duration(defaults, arguments), arguments)
    arguments = _without_modules(arguments)
    narrowed = _narrowed(defaults)

    def make(
        dataset: str,
        output: str,
        recipe: str = named.name,
        selection: str | None = None,
        setting: Setting | None = None,
        sweep: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="FIELD=VALUE,...")] = (),
        evaluate: str | None = None,
        measure: str | None = None,
        fields: Annotated[Any, tyro.conf.arg(name="")] = narrowed,
        execution: Annotated[Execution, tyro.conf.arg(name="")] = named.execution,
    ) -> Arguments:
        """Returns what was parsed; its signature is the command line.

        Args:
          dataset: Directory of the embedding dataset.
          output: Directory of the run, created if needed; a run that was begun there is resumed.
          recipe: Name of the recipe that the defaults below come from.
          selection: File of `lit-data select` that names the rows to train on; all others are never in a batch.
          setting: How the text tower starts: Lu at random, LU from --text-tower.weights, LL locked but for its head.
          sweep: Values of a field of the recipe; may be repeated. Trains each combination into a folder of its own.
          evaluate: Embedding dataset on which the models of a sweep retrieve images and texts.
          measure: What a sweep's runs are compared by: final_loss, mean_recall, image_to_text_recall_at_1 and so on.
          fields: What is trained.
          execution: How it is computed here.
        """
        del recipe  # the defaults already come from it
        chosen = _widened(fields)
        check_setting(chosen, setting)
        return Arguments(
            dataset=dataset,
            selection=selection,
            output=output,
            recipe=chosen,
            execution=execution,
            sweep=sweep,
            evaluate=evaluate,
            measure=measure,
        )

    make.__annotations__["fields"] = Annotated[type(narrowed), tyro.conf.arg(name="")]
    make.__annotations__["execution"] = Annotated[Execution, tyro.conf.arg(name="")]
    width = max(map(len, RECIPES))
    recipes = "\n".join(f"  {each.name:{width}}  {each.purpose}" for each in RECIPES.values())
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
        if _given(arguments, flag) is not None:
            raise OptionsError(f"{flag} is given twice, as a flag and in --sweep; leave the flag out")
    for name in ("evaluate", "measure"):
        if getattr(parsed, name) is not None and not parsed.sweep:
            raise OptionsError(f"--{name} is of a sweep; give --sweep, too, or use lit-eval")


def _renamed(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return _ALIASES.get(name.replace("_", "-"), name) + equals + value


def _given(arguments: list[str], flag: str) -> str | None:
    """Returns the value of a flag, from `--flag value` or `--flag=value`; None if it is absent."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            return value if equals else next(iter(arguments[place + 1 : place + 2]), None)
    return None


def _without(arguments: list[str], flag: str) -> list[str]:
    """Returns the arguments without a flag and its value."""
    kept, is_value = list[str](), False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        is_flag = name.replace("_", "-") == flag
        if not is_flag and not is_value:
            kept.append(argument)
        is_value = is_flag and not equals
    return kept


def _named_recipe(arguments: list[str]) -> NamedRecipe:
    name = _given(arguments, "--recipe") or DEFAULT_RECIPE
    if name not in RECIPES:
        raise OptionsError(f"--recipe must be one of {', '.join(RECIPES)}, got '{name}'")
    return RECIPES[name]


def _with_one_duration(recipe: Recipe, arguments: list[str]) -> Recipe:
    """Returns the recipe without its own duration (steps or epochs) if the user gives the other one."""
    num_steps, num_epochs = _given(arguments, "--num-steps"), _given(arguments, "--num-epochs")
    if num_steps is not None and num_epochs is None:
        return dataclasses.replace(recipe, num_steps=recipe.optimizer.warmup_steps + 1, num_epochs=None)
    if num_epochs is not None and num_steps is None:
        return dataclasses.replace(recipe, num_steps=None, num_epochs=1)
    return recipe


def _with_given_kinds(options: Any, arguments: list[str], path: str = "--") -> Any:
    """Returns options, a dataclass, with each part replaced by the kind that a flag selects, with that kind's defaults.

    Fields that all kinds of a part share, such as a learning rate, keep their values.
    """
    for name, part in _parts(options).items():
        flag = f"{path}{name.replace('_', '-')}"
        chosen = _chosen(part, arguments, flag) if isinstance(part, TaggedOptions) else part
        options = dataclasses.replace(options, **{name: _with_given_kinds(chosen, arguments, f"{flag}.")})
    return options


def _chosen(part: TaggedOptions, arguments: list[str], flag: str) -> TaggedOptions:
    """Returns a part of the kind that a flag selects."""
    kind = _given(arguments, f"{flag}.kind")
    return part if kind is None else of_kind(part, kind)


def _without_modules(arguments: list[str]) -> list[str]:
    """Returns the arguments with `--PART.kind module:name` as `name`: the module is already imported."""
    before = ["", *arguments]
    return [
        re.sub(r"^(--[\w.-]+\.kind=)?[\w.]+:(\w[\w-]*)$", r"\1\2", argument)
        if ".kind=" in argument or previous.endswith(".kind")
        else argument
        for previous, argument in zip(before, arguments, strict=False)
    ]


def _parts(options: Any) -> dict[str, Any]:
    """Returns the fields that are options themselves."""
    found = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return {name: part for name, part in found.items() if dataclasses.is_dataclass(part)}


def _narrowed(options: Any) -> Any:
    """Returns equal options of a class whose parts are typed as their kinds, so that the flags are those kinds'."""
    parts = {name: _narrowed(part) for name, part in _parts(options).items()}
    if not parts:
        return options
    made = dataclasses.make_dataclass(
        type(options).__name__,
        [(name, type(part), dataclasses.field(default=part)) for name, part in parts.items()],
        bases=(_Narrowed, type(options)),
        frozen=True,
        kw_only=True,
    )
    made.__doc__ = type(options).__doc__
    for name, part in parts.items():
        if isinstance(part, TaggedOptions):
            kinds = ", ".join(part.kinds.names())
            made.__doc__ = re.sub(rf"(\n +{name}: .*)\.", rf"\1; kinds: {kinds}.", made.__doc__ or "")
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return made(**own | parts)


class _Narrowed:
    """Marks a class that `_narrowed` made; its second base is the options' own."""


def _widened(options: Any) -> Any:
    """Returns the options that `_narrowed` was given."""
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    own |= {name: _widened(part) for name, part in _parts(options).items()}
    return type(options).__bases__[1](**own) if isinstance(options, _Narrowed) else options
