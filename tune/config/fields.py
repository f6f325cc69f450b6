"""A recipe's fields by path, such as `optimizer.learning_rate`: what one holds, and recipes with other values.

Promises: the recipe with a value is the one that `lit-tune` makes of the flag of that name, also where the flag changes
more than its field: another kind of a part keeps the fields that all kinds have, and steps replace epochs.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from lit_precompute.towers.options import OptionsError, TaggedOptions, of_kind
from lit_precompute.tune.config.recipe import Recipe

Scalar = bool | int | float | str | None

_BOOLEANS = {"true": True, "false": False}
_ONE_DURATION = {"num_steps": "num_epochs", "num_epochs": "num_steps"}


def value_at(recipe: Recipe, path: str) -> Scalar:
    """Returns what a field holds.

    Raises:
      OptionsError: there is no such field, or it is a part with fields of its own.
    """
    return getattr(_part_of(recipe, path), path.rpartition(".")[2])


def parse_value(recipe: Recipe, path: str, text: str) -> Scalar:
    """Returns a field's value from text; `none` is None where the field may be None.

    Raises:
      OptionsError: there is no such field, or the text is not of the field's type.
    """
    kind = typing.get_type_hints(type(_part_of(recipe, path)))[path.rpartition(".")[2]]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if text.lower() == "none":
            return None
        (kind,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
    if kind is bool:
        if text.lower() not in _BOOLEANS:
            raise OptionsError(f"{path} must be true or false, got {text!r}")
        return _BOOLEANS[text.lower()]
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError as error:
        raise OptionsError(f"{path} must be of type {kind.__name__}, got {text!r}") from error


def with_values(recipe: Recipe, values: Mapping[str, Scalar]) -> Recipe:
    """Returns the recipe with these values, by path.

    Raises:
      OptionsError: no such field, a value of the wrong type, or one that breaks a rule.
    """
    content = recipe.to_json()
    # A part's other fields depend on its kind.
    for path, value in sorted(values.items(), key=lambda item: not item[0].endswith(".kind")):
        *parents, name = path.split(".")
        part, fields = _part_of(recipe, path), content
        for parent in parents:
            fields = fields[parent]
        if name == "kind" and isinstance(part, TaggedOptions):
            kept = dataclasses.asdict(of_kind(part, str(value)))
            fields.clear()
            fields.update(kept)
        else:
            fields[name] = value
        if (other := _ONE_DURATION.get(path)) is not None and value is not None and other not in values:
            content[other] = None
    return Recipe.from_json(content)


def _part_of(recipe: Recipe, path: str) -> Any:
    """Returns the options that a field belongs to."""
    part: Any = recipe
    *parents, name = path.split(".")
    for place, parent in enumerate([*parents, name]):
        names = [field.name for field in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else []
        if parent not in names:
            where = ".".join(parents[:place])
            choice = f"{where or 'a recipe'} has {', '.join(names)}" if names else f"{where} has no fields"
            raise OptionsError(f"{path} is not a field of the recipe: {choice}")
        if place < len(parents):
            part = getattr(part, parent)
    if dataclasses.is_dataclass(getattr(part, name)):
        names = ", ".join(f"{path}.{field.name}" for field in dataclasses.fields(getattr(part, name)))
        raise OptionsError(f"{path} is a part of the recipe, not a field: choose from {names}")
    return part
