"""A recipe whose text tower is one that has a name: its shape, its tokenizer and its start."""

from __future__ import annotations

import dataclasses
import typing

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.towers.text.registry import resolve_text_tower
from lit_precompute.tune.config.recipe import Recipe, Setting


def start_from(recipe: Recipe, weights: str | None, *, setting: str | None = None, kind: str | None = None) -> Recipe:
    """Returns the recipe with the text tower that `weights` names, and what `setting` says of its start.

    Args:
      recipe: what is trained.
      weights: a name of `lit-tune towers`, a Hugging Face repository, a folder or a file; None: as the recipe says.
      setting: Lu takes the shape and the tokenizer alone, and starts at random; LU starts from the weights; LL also
        locks the tower but for its head. None: LU where there are weights.
      kind: the kind of text tower that it has to be, if any.

    Raises:
      OptionsError: no such setting, one that needs weights without any, or weights of another kind than `kind`.
      ValueError: no such tower.
    """
    if setting not in (None, *typing.get_args(Setting)):
        raise OptionsError(f"setting must be one of {', '.join(typing.get_args(Setting))}, got {setting!r}")
    is_stored = (kind or recipe.text_tower.kind) == StoredTextOptions.kind
    if setting in ("LU", "LL") and not is_stored and weights is None and recipe.text_tower.weights is None:
        raise OptionsError(f"setting {setting} starts from a pre-trained text tower: give text_tower.weights")
    if weights is not None and is_stored:
        raise OptionsError(
            f"text_tower.weights must be None where text_tower.kind is stored, got {weights!r}: the text tower is "
            "frozen, and the table has its embeddings"
        )
    if weights is not None:
        recipe = _with_tower(recipe, weights, kind)
        if setting in ("LU", "LL") and recipe.text_tower.weights is None:
            raise OptionsError(
                f"setting {setting} starts from a pre-trained text tower, and {weights!r} is an architecture without "
                "weights: give another name, a folder or a file as text_tower.weights"
            )
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
        raise OptionsError(
            f"text_tower.kind must be {entry.options.kind!r}, which {weights!r} is, got {kind!r}; leave it out"
        )
    max_tokens = recipe.text.max_tokens if entry.max_tokens is None else entry.max_tokens
    return dataclasses.replace(
        recipe,
        # A bare architecture has none: it starts at random.
        text_tower=dataclasses.replace(entry.options, weights=weights if entry.weights else None),
        tokenizer=entry.tokenizer,
        text=dataclasses.replace(recipe.text, max_tokens=max_tokens),
    )


def other_tokenizer(recipe: Recipe) -> str | None:
    """Returns a caution where the text tower starts from weights that were trained with another tokenizer's ids.

    That the ids are the same can only be said of the weights' own tokenizer: None for it, and where nothing is known.

    Raises:
      OptionsError: it is a tuned model's own, with other options than it was saved with.
      ValueError: no such tower.
    """
    weights, tokenizer = recipe.text_tower.weights, recipe.tokenizer
    if weights is None:
        return None
    _, entry = resolve_text_tower(weights)
    if tokenizer.path is None:
        return (
            f"the tokenizer is made of the captions, and the token vectors in {weights!r} fit it only if theirs was "
            "made of the same ones; otherwise give the file of theirs as tokenizer.path"
        )
    if entry is None or (tokenizer.kind, tokenizer.path) == (entry.tokenizer.kind, entry.tokenizer.path):
        if entry is not None and entry.root and tokenizer != entry.tokenizer:  # a tuned model's
            raise OptionsError(
                f"tokenizer must be as it was saved with {weights!r}, {entry.tokenizer}, got {tokenizer}; leave its "
                "flags out, or give another tokenizer.path"
            )
        return None
    return (
        f"the tokenizer is {tokenizer.kind} {tokenizer.path!r}, and that of {weights!r} is {entry.tokenizer.kind} "
        f"{entry.tokenizer.path!r}: the token vectors fit only if both give a piece the same id"
    )


def check_setting(recipe: Recipe, setting: Setting | None) -> None:
    """Raises OptionsError unless the recipe is of the setting that was asked for."""
    if setting is not None and recipe.setting != setting:
        raise OptionsError(
            f"setting must be {recipe.setting}, which text_tower.weights {recipe.text_tower.weights!r} and "
            f"trained.last_layers {recipe.trained.last_layers} are, got {setting}"
        )
