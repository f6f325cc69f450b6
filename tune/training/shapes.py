"""What a training has, before there is a dataset or a tokenizer: its sides, and the shapes of a batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lit_precompute.schemas.vectors import StoredVectors, VectorType, numpy_type
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.sides import Sides, make_sides


class Shapes(NamedTuple):
    """A recipe's sides and the shapes of its batches.

    Attributes:
      sides: the two sides, without parameters.
      images: shapes of a batch's images.
      texts: shapes of their texts.
    """

    sides: Sides
    images: StoredVectors
    texts: TextBatch


def vocabulary_size(recipe: Recipe) -> int:
    """Returns the rows of the table of tokens, as the options tell; a tokenizer that is trained may have fewer."""
    return int(getattr(recipe.text_tower, "vocabulary_rows", 0)) or recipe.tokenizer.vocabulary_size


def make_shapes(
    recipe: Recipe, *, width: int, vector_type: VectorType = "float16", text_width: int | None = None
) -> Shapes:
    """Returns the sides and shapes of a recipe on a dataset of which no more is known.

    Args:
      recipe: what is trained.
      width: length of a stored embedding.
      vector_type: its type.
      text_width: length of a stored text embedding, where the text side is stored.
    """
    zeros = jnp.zeros(width)
    sides = make_sides(
        recipe,
        width=width,
        vocabulary=Vocabulary(vocabulary_size(recipe), 1, 0),
        statistics=Statistics(zeros, zeros + 1) if recipe.image_side.standardise else None,  # pyright: ignore
        text_width=text_width,
    )
    batch_size, columns = recipe.batch_size, recipe.text.num_columns
    scales = jax.ShapeDtypeStruct((batch_size,), jnp.float32) if vector_type == "int8" else None
    images: Any = (jax.ShapeDtypeStruct((batch_size, width), numpy_type(vector_type)), scales)
    num_texts = batch_size * columns
    tokens: Any = jax.ShapeDtypeStruct((num_texts, recipe.text.max_tokens), jnp.int32)
    if text_width is not None:
        tokens = StoredVectors(jax.ShapeDtypeStruct((num_texts, text_width), jnp.float32), None)  # pyright: ignore
    present: Any = jax.ShapeDtypeStruct((batch_size, columns), jnp.bool_) if columns > 1 else None
    return Shapes(sides, StoredVectors(*images), TextBatch(tokens, present))
