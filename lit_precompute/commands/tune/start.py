"""What `--text-tower.weights` and `--setting` make of a recipe: the named tower's shape, tokenizer and start."""

from __future__ import annotations

import dataclasses
import typing

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.towers.text.registry import resolve_text_tower
from lit_precompute.tune.config.recipe import Recipe, Setting

WEIGHTS, SETTING, KIND = "--text-tower.weights", "--setting", "--text-tower.kind"


def with_start(recipe: Recipe, weights: str | None, setting: str | None, kind: str | None) -> Recipe:
    """Returns the recipe with the text tower that `weights` names, and what `setting` says of its start.

    With the setting Lu only the shape and the tokenizer are taken from `weights`.

    Raises:
      OptionsError: no such setting, one that needs weights without any, or weights of another kind than `kind`.
      ValueError: no such tower.
    """
    if setting not in (None, *typing.get_args(Setting)):
        raise OptionsError(f"{SETTING} must be one of {', '.join(typing.get_args(Setting))}, got {setting!r}")
    is_stored = (kind or recipe.text_tower.kind) == StoredTextOptions.kind
    if setting in ("LU", "LL") and not is_stored and weights is None and recipe.text_tower.weights is None:
        raise OptionsError(f"{SETTING} {setting} starts from a pre-trained text tower: give {WEIGHTS}")
    if weights is not None and is_stored:
        raise OptionsError(
            f"{WEIGHTS} must be None where {KIND} is stored, got {weights!r}: the text tower is frozen, and the table "
            "has its embeddings"
        )
    if weights is not None:
        recipe = _with_tower(recipe, weights, kind)
    if setting == "Lu":
        return dataclasses.replace(recipe, text_tower=dataclasses.replace(recipe.text_tower, weights=None))
    if setting == "LL" and not is_stored:
        return dataclasses.replace(recipe, trained=dataclasses.replace(recipe.trained, last_layers=0))
    return recipe


def _with_tower(recipe: Recipe, weights: str, kind: str | None) -> Recipe:
    _, entry = resolve_text_tower(weights)
    if entry is None:  # a bare file: the flags say what it is
        return dataclasses.replace(recipe, text_tower=dataclasses.replace(recipe.text_tower, weights=weights))
    if kind not in (None, entry.options.kind):
        raise OptionsError(f"{KIND} must be {entry.options.kind!r}, which {weights!r} is, got {kind!r}; leave it out")
    max_tokens = recipe.text.max_tokens if entry.max_tokens is None else entry.max_tokens
    return dataclasses.replace(
        recipe,
        # A bare architecture has none: it starts at random.
        text_tower=dataclasses.replace(entry.options, weights=weights if entry.weights else None),
        tokenizer=entry.tokenizer,
        text=dataclasses.replace(recipe.text, max_tokens=max_tokens),
    )


def check_setting(recipe: Recipe, setting: Setting | None) -> None:
    """Raises OptionsError unless the recipe is of the setting that was asked for."""
    if setting is not None and recipe.setting != setting:
        raise OptionsError(
            f"{SETTING} must be {recipe.setting}, which text_tower.weights {recipe.text_tower.weights!r} and "
            f"trained.last_layers {recipe.trained.last_layers} are, got {setting}"
        )
