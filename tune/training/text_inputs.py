"""What a run's text side is fed with: tokens of the dataset's texts, or its stored embeddings of them."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.finding_texts import find_texts
from lit_precompute.tune.data.stored_texts import StoredTexts, info_of, opened_with
from lit_precompute.tune.data.text_source import TextSource
from lit_precompute.tune.model.frozen_text import FrozenText
from lit_precompute.tune.training.preparation import prepare_tokenizer


class TextInputs(NamedTuple):
    """The source of texts; `tokenizer` or `frozen` says what else turns a text into an input of the text side.

    Attributes:
      dataset: the dataset to read rows and texts of; another opening of it where a further table is needed.
      source: the source.
      notes: what to tell about the source.
      tokenizer: the run's; None where embeddings are stored.
      frozen: what made the stored embeddings; None where there are tokens.
    """

    dataset: EmbeddingDataset
    source: TextSource
    notes: Sequence[str]
    tokenizer: Tokenizer | None
    frozen: FrozenText | None


def open_texts(
    dataset: EmbeddingDataset, recipe: Recipe, saved: pathlib.Path | None, rows: Int64[np.ndarray, " n"] | None
) -> TextInputs:
    """Returns what the text side is fed with.

    Args:
      dataset: the dataset.
      recipe: what is trained.
      saved: where the run has saved its tokenizer, if it was begun before.
      rows: numbers of the rows to train on; None: all.

    Raises:
      ValueError: the dataset has no texts, or no such table, or the tokenizer cannot be made.
    """
    if isinstance(recipe.text_tower, StoredTextOptions):
        table = recipe.text_tower.table
        opened = opened_with(dataset, table)
        source, info = StoredTexts(opened, table), info_of(dataset, table)
        made = "an unknown text tower" if info is None else f"the text tower {info.tower.name}"
        notes = [f"text embeddings of {made} are read from the table '{table}'"]
        frozen = FrozenText(table=table, width=source.width, tower=None if info is None else info.tower)
        return TextInputs(opened, source, notes, None, frozen)
    tokenizer = prepare_tokenizer(saved, dataset, recipe, rows)
    try:
        tokenizer.max_pieces(recipe.text.max_tokens)
    except ValueError as error:
        raise ValueError(f"text.max_tokens: {error}") from error
    return TextInputs(*find_texts(dataset, tokenizer, recipe.text), tokenizer, None)
