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
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.finding_texts import find_texts
from lit_precompute.tune.data.joined_dataset import join_datasets, join_rows
from lit_precompute.tune.data.stored_texts import StoredTexts, info_of, opened_with
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import TEXTS, check_fields
from lit_precompute.tune.model.frozen_text import FrozenText
from lit_precompute.tune.training.preparation import prepare_tokenizer


class TextInputs(NamedTuple):
    """The sources of texts; `tokenizer` or `frozen` says what else turns a text into an input of the text side.

    Attributes:
      datasets: the datasets to read rows and texts of; another opening of each that needs a further table.
      sources: what the rows of each contribute.
      notes: what to tell about the sources.
      tokenizer: the run's; None where embeddings are stored.
      frozen: what made the stored embeddings; None where there are tokens.
    """

    datasets: Sequence[EmbeddingDataset]
    sources: Sequence[ChosenTexts]
    notes: Sequence[str]
    tokenizer: Tokenizer | None
    frozen: FrozenText | None

    def example(self, num_images: int) -> TextBatch:
        """Returns texts of any batch, uninitialised."""
        return self.sources[0].example(num_images)


def open_texts(
    datasets: Sequence[EmbeddingDataset],
    recipe: Recipe,
    saved: pathlib.Path | None,
    rows_of: Sequence[Int64[np.ndarray, "_"] | None],
) -> TextInputs:
    """Returns what the text side is fed with.

    Args:
      datasets: the datasets.
      recipe: what is trained.
      saved: where the run has saved its tokenizer, if it was begun before.
      rows_of: numbers of the rows to train on, of each dataset; None: all.

    Raises:
      ValueError: a dataset has no texts, or no such table, or none of them such a field, the tokenizer cannot be made,
        or stored embeddings of texts differ in what made them.
    """
    if isinstance(recipe.text_tower, StoredTextOptions):
        _refuse_other_texts(recipe.text)
        return _open_stored(datasets, recipe.text_tower.table)
    check_fields(datasets, recipe.text.field_names)  # before a tokenizer is trained
    tokenizer = prepare_tokenizer(saved, join_datasets(datasets), recipe, join_rows(datasets, rows_of))
    try:
        tokenizer.max_pieces(recipe.text.max_tokens)
    except ValueError as error:
        raise ValueError(f"text.max_tokens: {error}") from error
    found = [find_texts(dataset, tokenizer, recipe.text) for dataset in datasets]
    notes = _noted(datasets, [each.notes for each in found])
    return TextInputs([each.dataset for each in found], [each.source for each in found], notes, tokenizer, None)


def _open_stored(datasets: Sequence[EmbeddingDataset], table: str) -> TextInputs:
    opened = [opened_with(dataset, table) for dataset in datasets]
    sources = [StoredTexts(dataset, table) for dataset in opened]
    infos = [info_of(dataset, table) for dataset in datasets]
    notes: list[list[str]] = []
    for dataset, source, info in zip(datasets, sources, infos, strict=True):
        made = "an unknown text tower" if info is None else f"the text tower {info.tower.name}"
        notes.append([f"text embeddings of {made} are read from the table '{table}'"])
        kind, first = (
            (None if each is None else each.tower.fingerprint, of.width, of.vector_type)
            for each, of in ((info, source), (infos[0], sources[0]))
        )
        if kind != first:
            raise ValueError(
                f"{dataset.path}: its table '{table}' has text embeddings of tower, width and type {kind}, that of "
                f"{datasets[0].path} {first}; datasets that are mixed must have the same: embed their texts in one way"
            )
    tower = None if infos[0] is None else infos[0].tower
    frozen = FrozenText(table=table, width=sources[0].width, tower=tower)
    chosen = [ChosenTexts({TEXTS: source}, TextOptions()) for source in sources]
    return TextInputs(opened, chosen, _noted(datasets, notes), None, frozen)


def _refuse_other_texts(options: TextOptions) -> None:
    """Raises ValueError if a run on stored embeddings, one for each row, asks for other texts than theirs."""
    if (options.fields, options.num_columns) != (TEXTS, 1):
        raise ValueError(
            f"text.fields {options.fields!r} and text.texts_per_image {options.texts_per_image}: there is nothing to "
            "choose among stored text embeddings, of which a row has one: derive a table of the texts that you want "
            "(lit-data derive --text-embeddings-of TOWER --text-field title), and leave these options out"
        )


def _noted(datasets: Sequence[EmbeddingDataset], notes: Sequence[Sequence[str]]) -> list[str]:
    """Returns all notes, each with its dataset if there are several."""
    pairs = zip(datasets, notes, strict=True)
    return [note if len(datasets) == 1 else f"{each.path}: {note}" for each, own in pairs for note in own]
