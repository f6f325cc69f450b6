"""A tuned model as the start of another text tower: its shape, its tokenizer and its parameters.

Promises: reads files of the model's folder alone, and imports nothing that its card names.
"""

from __future__ import annotations

import pathlib
from typing import Any

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.towers.options import OptionsError, Tagged, read_options
from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.text.stored.options import StoredTextOptions
from lit_precompute.towers.tokenizers import TokenizerOptions

# The names of a tuned model's files, and of its folder in the output of `lit-tune`.
CARD_NAME, PARAMETERS_NAME, TOKENIZER_FOLDER = "tuned_model.json", "parameters.safetensors", "tokenizer"
MODEL_FOLDER = "model"
# Where the parameters file keeps the text tower's.
TEXT_PREFIX = "txt/"
_COPY_AGAIN = "copy the model again from where it came from"
_STARTS = ("weights", "head_start")


def read_tuned(place: str) -> TextEntry | None:
    """Returns the text tower of the tuned model in a folder, or in its folder `model`; None where there is none.

    Raises:
      ValueError: its card is damaged or of an older version, or it has no text tower of a kind that is known.
    """
    for folder in (pathlib.Path(place), pathlib.Path(place) / MODEL_FOLDER):
        if (folder / CARD_NAME).is_file():
            return _described(folder)
    return None


def _described(folder: pathlib.Path) -> TextEntry:
    path = folder / CARD_NAME
    recipe = read_json_object(path, _COPY_AGAIN).get("recipe")
    tower, tokenizer, text = (_part(recipe, name, path) for name in ("text_tower", "tokenizer", "text"))
    if tower.get("kind") == StoredTextOptions.kind:
        raise ValueError(f"{path}: a head over stored text embeddings, without a text tower to start from")
    tower = {key: value for key, value in tower.items() if key not in _STARTS}
    tokenizer["path"] = str(folder / TOKENIZER_FOLDER)
    if not isinstance(max_tokens := text.get("max_tokens"), int):
        raise ValueError(f"{path}: recipe.text.max_tokens must be a whole number, got {max_tokens!r}; {_COPY_AGAIN}")
    try:
        return TextEntry(
            options=_read(TextTowerOptions, tower, "recipe.text_tower"),
            weights=str(folder / PARAMETERS_NAME),
            root=TEXT_PREFIX,
            tokenizer=_read(TokenizerOptions, tokenizer, "recipe.tokenizer"),
            max_tokens=max_tokens,
            note="a tuned model",
        )
    except OptionsError as error:
        raise OptionsError(f"{path}: {error}") from error


def _part(recipe: Any, name: str, path: pathlib.Path) -> dict[str, Any]:
    part = recipe.get(name) if isinstance(recipe, dict) else None
    if not isinstance(part, dict):
        raise ValueError(f"{path}: recipe.{name} must be a JSON object, got {part!r:.80}; {_COPY_AGAIN}")
    return dict(part)


def _read(kind: type[Tagged], part: dict[str, Any], where: str) -> Tagged:
    """Returns options of a kind that is registered: a card imports no module, whoever wrote it."""
    if part.get("kind") not in (names := kind.kinds.names()):
        raise OptionsError(f"{where}.kind must be one of {names}, got {part.get('kind')!r}; import its module first")
    return read_options(kind, part, where)
