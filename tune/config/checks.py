"""Combinations of a recipe's parts that cannot train, or would train on nonsense: refused before anything is read.

Promises: only names and numbers are looked at; what a file has to tell is checked when it is read. Each message says
what would fit.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import TextEntry, TextTowerOptions, TransformerOptions, text_towers
from lit_precompute.tune.config.recipe import Recipe

_SIZES = ("width", "depth", "num_heads", "mlp_width")
_MAX_SUGGESTIONS = 3


def check_recipe(recipe: Recipe) -> None:
    """Checks what the parts of a recipe ask of each other.

    Raises:
      OptionsError: texts are longer than the text tower's positions; `text_tower.weights` names a tower of another kind
        or size; its tokenizer is not the one that the weights go with; or a value would be used by nothing.
    """
    _check_length(recipe)
    _check_used(recipe)
    entry = text_towers().get(recipe.text_tower.weights or "")
    if entry is not None:
        _check_weights(recipe.text_tower, entry)
        _check_tokenizer(recipe, entry)


def _check_length(recipe: Recipe) -> None:
    longest, length = recipe.text_tower.longest_text(), recipe.text.max_tokens
    if longest is not None and length > longest:
        raise OptionsError(f"text.max_tokens must be <= {longest}, the positions of this tower, got {length}")


def _check_used(recipe: Recipe) -> None:
    """Raises OptionsError where somebody asks for what nothing else in the recipe makes use of."""
    optimizer, text = recipe.optimizer, recipe.text
    if optimizer.schedule != "rsqrt" and optimizer.timescale_steps != _default(optimizer, "timescale_steps"):
        raise OptionsError(
            f"optimizer.timescale_steps is of the schedule rsqrt, and optimizer.schedule is {optimizer.schedule}; "
            "leave it out"
        )
    if text.choice != "join" and text.separator != _default(text, "separator"):
        raise OptionsError(
            f"text.separator is of joined texts, and text.choice is {text.choice}; leave it out, or give text.choice "
            "join"
        )
    if recipe.text_tower.weights is None and getattr(recipe.text_tower, "head_start", None) == "random":
        raise OptionsError(
            "text_tower.head_start random is of a tower with weights: without text_tower.weights all of it starts at "
            "random; leave it out"
        )


def _default(options: Any, name: str) -> Any:
    return next(field.default for field in dataclasses.fields(options) if field.name == name)


def _check_weights(options: TextTowerOptions, entry: TextEntry) -> None:
    weights = options.weights
    if not entry.weights:
        raise OptionsError(
            f"text_tower.weights must be a tower with published weights, got {weights!r}, an architecture: give None "
            "for a random start"
        )
    differences = [
        f"{name} {found}"
        for name in ("kind", *_SIZES)
        if (found := getattr(entry.options, name, None)) != getattr(options, name, None)
    ]
    if differences:
        raise OptionsError(
            f"text_tower.weights {weights!r} are of another tower: {', '.join(differences)}, while text_tower has "
            f"{', '.join(f'{name} {getattr(options, name, None)}' for name in _named(differences))}{_fitting(options)}"
        )


def _named(differences: list[str]) -> list[str]:
    return [difference.partition(" ")[0] for difference in differences]


def _fitting(options: TextTowerOptions) -> str:
    """Returns which named towers have the options' kind and sizes, in words."""
    if not isinstance(options, TransformerOptions):
        return ""
    fitting = [
        name
        for name, entry in text_towers().items()
        if entry.weights
        and all(getattr(entry.options, field, None) == getattr(options, field) for field in ("kind", *_SIZES))
    ]
    if not fitting:
        return "; no tower of `lit-tune towers` has these sizes"
    more = f" and {len(fitting) - _MAX_SUGGESTIONS} more" if len(fitting) > _MAX_SUGGESTIONS else ""
    return f"; {', '.join(fitting[:_MAX_SUGGESTIONS])}{more} would fit"


def _check_tokenizer(recipe: Recipe, entry: TextEntry) -> None:
    """Raises OptionsError if the tokenizer is to be trained: its ids would stand for other pieces than the weights'."""
    if recipe.tokenizer.path is None and entry.tokenizer.path is not None:
        raise OptionsError(
            f"tokenizer.path must be that of {recipe.text_tower.weights!r} ({entry.tokenizer.kind}, "
            f"{entry.tokenizer.path}), got None: ids of a tokenizer that is trained on the captions would stand for "
            "other pieces than in the weights"
        )
