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
from lit_precompute.tune.data.joined_dataset import join_datasets, join_rows
from lit_precompute.tune.data.stored_texts import StoredTexts, info_of, opened_with
from lit_precompute.tune.data.text_source import Texts, TextSource
from lit_precompute.tune.model.frozen_text import FrozenText
from lit_precompute.tune.training.preparation import prepare_tokenizer


class TextInputs(NamedTuple):
    """The sources of texts; `tokenizer` or `frozen` says what else turns a text into an input of the text side.

    Attributes:
      datasets: the datasets to read rows and texts of; another opening of each that needs a further table.
      sources: the source of each.
      notes: what to tell about the sources.
      tokenizer: the run's; None where embeddings are stored.
      frozen: what made the stored embeddings; None where there are tokens.
    """

    datasets: Sequence[EmbeddingDataset]
    sources: Sequence[TextSource]
    notes: Sequence[str]
    tokenizer: Tokenizer | None
    frozen: FrozenText | None

    def example(self, num_texts: int) -> Texts:
        """Returns texts of any batch, uninitialised."""
        return self.sources[0].in_batch(self.sources[0].empty_chosen(num_texts))


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
      ValueError: a dataset has no texts, or no such table, the tokenizer cannot be made, or stored embeddings of texts
        differ in what made them.
    """
    if isinstance(recipe.text_tower, StoredTextOptions):
        return _open_stored(datasets, recipe.text_tower.table)
    tokenizer = prepare_tokenizer(saved, join_datasets(datasets), recipe, join_rows(datasets, rows_of))
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
    return TextInputs(opened, sources, _noted(datasets, notes), None, frozen)


def _noted(datasets: Sequence[EmbeddingDataset], notes: Sequence[Sequence[str]]) -> list[str]:
    """Returns all notes, each with its dataset if there are several."""
    pairs = zip(datasets, notes, strict=True)
    return [note if len(datasets) == 1 else f"{each.path}: {note}" for each, own in pairs for note in own]
