"""What the files of a tuned model hold, checked and built: the fields of a `TunedModel`."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lit_precompute.schemas import TowerCard
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.towers.tokenizers import Tokenizer, load_tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.frozen_text import FrozenText
from lit_precompute.tune.model.image_side import pop_statistics
from lit_precompute.tune.model.sides import make_sides
from lit_precompute.tune.model.tuned_model_files import (
    BIAS_KEY,
    PARAMETERS_NAME,
    TEXT_EMBEDDINGS_KEY,
    TOKENIZER_FOLDER,
    TunedModelError,
    check_files,
    read_card,
    read_sides,
    refuse_unread,
)


def load_fields(folder: pathlib.Path, text_tower: str | None) -> dict[str, Any]:
    """Returns the fields of the model in a folder; see `TunedModel.load`.

    Raises:
      TunedModelError: the files are missing, have changed or do not fit together.
    """
    card = read_card(folder)
    check_files(folder, card)
    try:
        fields = _build(folder, card, text_tower)
    except TunedModelError:
        raise
    except ValueError as error:
        raise TunedModelError(f"{folder}: {error}") from error
    facts = {name: card[name] for name in ("scale", "image_tower", "training")}
    return {**fields, **facts, "bias": card.get(BIAS_KEY), "text_tower": text_tower}


def _build(folder: pathlib.Path, card: Mapping[str, Any], text_tower: str | None) -> dict[str, Any]:
    """Returns what is built of the files: recipe, sides, their parameters, and what texts are turned into."""
    recipe = Recipe.from_json(card["recipe"])
    width = TowerCard.model_validate(card["image_tower"]).output_width
    frozen_text, tokenizer = _text_inputs(folder, card, text_tower)
    image, text = read_sides(folder)
    statistics = pop_statistics(image, width, PARAMETERS_NAME) if recipe.image_side.standardise else None
    _refuse_larger_tower(recipe, text)
    sides = make_sides(
        recipe,
        width=width,
        vocabulary=None if tokenizer is None else tokenizer.vocabulary,
        statistics=statistics,
        text_width=None if frozen_text is None else frozen_text.width,
    )
    if sides.text.output_width != card["output_width"]:
        raise ValueError(f"output_width is {card['output_width']}, the recipe's is {sides.text.output_width}")
    image_parameters = sides.image.read_parameters(image, f"{PARAMETERS_NAME}, image side")
    text_parameters = sides.text.read_parameters(text, f"{PARAMETERS_NAME}, text tower")
    refuse_unread(sides.text.namings, text, text_parameters)
    return {
        "recipe": recipe,
        "sides": sides,
        "image_parameters": image_parameters,
        "text_parameters": text_parameters,
        "tokenizer": tokenizer,
        "statistics": statistics,
        "frozen_text": frozen_text,
    }


def _text_inputs(
    folder: pathlib.Path, card: Mapping[str, Any], text_tower: str | None
) -> tuple[FrozenText | None, Tokenizer | None]:
    """Returns what turns a text into an input of the text side; one of the two is None.

    Raises:
      ValueError: it is missing or damaged, or a text tower is given to a model that has its own.
    """
    is_stored = isinstance(Recipe.from_json(card["recipe"]).text_tower, StoredTextOptions)
    if is_stored != (TEXT_EMBEDDINGS_KEY in card):
        raise ValueError(
            f"{TEXT_EMBEDDINGS_KEY} must be in the card of a model over stored text embeddings, and only there"
        )
    if is_stored:
        return FrozenText.from_json(card[TEXT_EMBEDDINGS_KEY]), None
    if text_tower is not None:
        raise ValueError(f"--text-tower {text_tower}: the model has its own text tower; leave the flag out")
    return None, load_tokenizer(str(folder / TOKENIZER_FOLDER))


def _refuse_larger_tower(recipe: Recipe, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError if the tower has more parameters than the file, before it is built: that takes long."""
    needed, found = recipe.text_tower.min_num_parameters(), sum(array.size for array in arrays.values())
    if needed > found:
        raise ValueError(
            f"{PARAMETERS_NAME}, text tower: the recipe's needs {needed:,} parameters or more, the file has {found:,}"
        )
