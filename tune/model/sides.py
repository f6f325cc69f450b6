"""The two sides of a recipe, image before text, and their trained parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Array, Float32

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text import StoredTextOptions, make_text_tower
from lit_precompute.towers.text.stored.network import make_tower
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.model.image_side import Statistics, make_image_side, over_stored


class Sides(NamedTuple):
    """Two towers into one space: the image side over `StoredVectors`, the text tower over token ids or those."""

    image: Tower
    text: Tower


class TrainedParameters(NamedTuple):
    """Everything that is trained, as flat dicts by name; a locked side is an empty dict.

    Attributes:
      image: of the image side's head.
      loss: of the loss, such as `log_scale`.
      text: of the text tower.
    """

    image: Mapping[str, Float32[Array, "..."]]
    loss: Mapping[str, Float32[Array, ""]]
    text: Mapping[str, Float32[Array, "..."]]


def make_sides(
    recipe: Recipe,
    *,
    width: int,
    vocabulary: Vocabulary | None,
    statistics: Statistics | None,
    text_width: int | None = None,
) -> Sides:
    """Returns a recipe's two sides, without parameters.

    Args:
      recipe: what is trained.
      width: length of a stored embedding.
      vocabulary: the tokenizer's; None where the text side is stored.
      statistics: to standardise stored embeddings by, or None.
      text_width: length of a stored text embedding, where the text side is stored.
    """
    image = make_image_side(recipe.image_side, width, statistics, recipe.compute_type)
    if isinstance(recipe.text_tower, StoredTextOptions):
        assert text_width is not None
        text = over_stored(
            make_tower(
                recipe.text_tower,
                input_width=text_width,
                output_width=image.output_width,
                compute_type=recipe.compute_type,
            )
        )
        return Sides(image, text)
    assert vocabulary is not None
    text = make_text_tower(
        recipe.text_tower,
        vocabulary=vocabulary,
        max_tokens=recipe.text.max_tokens,
        output_width=image.output_width,
        compute_type=recipe.compute_type,
    )
    return Sides(image, text)
