"""What a run trains on: the rows of its datasets, their texts, and the batches that both are mixed into.

Promises: nothing is written. A resumed run gets the tokenizer and the statistics that it has saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.towers.tokenizers import TextLengths
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.held_out import HeldOut, read_held_out, split_rows
from lit_precompute.tune.data.joined_dataset import common_type, join_datasets, join_rows
from lit_precompute.tune.data.mixtures import Joined, Mixture, mix
from lit_precompute.tune.data.parts import Part
from lit_precompute.tune.data.text_batch import TextBatch
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.sides import Sides, make_sides
from lit_precompute.tune.training.datasets import TrainedOn, open_views
from lit_precompute.tune.training.preparation import measure_text_lengths, prepare_statistics, save_preparation
from lit_precompute.tune.training.run_directory import RunDirectory
from lit_precompute.tune.training.text_inputs import TextInputs, open_texts


class Inputs(NamedTuple):
    """What a run trains on.

    Attributes:
      trained_on: the datasets with their selections.
      texts: what the text side is fed with.
      rows: numbers of the rows to train on, of the datasets joined; None: all.
      views: of each dataset; none where the datasets' own embeddings are trained on.
      held_out: what to validate on; None if nothing is held out.
      statistics: to standardise stored embeddings by, or None.
      batches: the batches.
    """

    trained_on: Sequence[TrainedOn]
    texts: TextInputs
    rows: Int64[np.ndarray, " n"] | None
    views: Sequence[Sequence[EmbeddingDataset]]
    held_out: HeldOut | None
    statistics: Statistics | None
    batches: Joined | Mixture

    @property
    def width(self) -> int:
        """Length of a stored embedding."""
        return self.trained_on[0].dataset.width

    @property
    def vector_type(self) -> VectorType:
        """Type of the embeddings in a batch."""
        views = [view for own in self.views for view in own]
        return common_type(views or [each.dataset for each in self.trained_on])

    def sides(self, recipe: Recipe) -> Sides:
        """Returns the two sides for these inputs."""
        texts = self.texts
        return make_sides(
            recipe,
            width=self.width,
            vocabulary=None if texts.tokenizer is None else texts.tokenizer.vocabulary,
            statistics=self.statistics,
            text_width=None if texts.frozen is None else texts.frozen.width,
        )

    def text_batch(self, batch_size: int) -> TextBatch:
        """Returns the texts of any batch, uninitialised."""
        return self.texts.example(batch_size)

    def save(self, directory: RunDirectory, recipe: Recipe) -> dict[str, TextLengths]:
        """Saves what was prepared in the claimed directory; returns how long each field's texts are, if tokenised."""
        save_preparation(directory, self.texts.tokenizer, self.statistics)
        if self.texts.tokenizer is None:
            return {}
        dataset = join_datasets([each.dataset for each in self.trained_on])
        return measure_text_lengths(directory, dataset, self.texts.tokenizer, recipe, self.rows)

    def about(self) -> dict[str, Any]:
        """Returns what a tuned model says of what it was tuned on."""
        digests = [each.dataset.manifest.digest for each in self.trained_on]
        selections = [None if each.selection is None else each.selection.digest for each in self.trained_on]
        if len(digests) > 1:
            return {"dataset_digests": digests, "selection_digests": selections, "num_pairs": self.batches.num_rows}
        selected = {} if selections[0] is None else {"selection_digest": selections[0]}
        return {"dataset_digest": digests[0], **selected, "num_pairs": self.batches.num_rows}

    def close(self) -> None:
        """Ends threads, and closes what was opened here."""
        self.batches.close()
        for view in (view for own in self.views for view in own):
            view.close()
        for each, dataset in zip(self.trained_on, self.texts.datasets, strict=True):
            if dataset is not each.dataset:
                dataset.close()


def prepare_inputs(
    trained_on: Sequence[TrainedOn], recipe: Recipe, memory_budget_bytes: int, saved: RunDirectory | None
) -> Inputs:
    """Returns what a run trains on.

    Args:
      trained_on: the datasets with their selections.
      recipe: what is trained.
      memory_budget_bytes: for embeddings and texts.
      saved: the directory of the run, if it was begun before.

    Raises:
      ValueError: a dataset, a selection or the recipe cannot be trained on.
    """
    recipe.data.check_fits(len(trained_on))
    datasets, rows_of = [each.dataset for each in trained_on], [each.rows() for each in trained_on]
    held_rows, rows_of[0] = split_rows(datasets[0], rows_of[0], recipe.data.held_out)
    rows = join_rows(datasets, rows_of)
    texts = open_texts(datasets, recipe, None if saved is None else saved.tokenizer, rows_of)
    held_out = read_held_out(texts.datasets[0], texts.sources[0], held_rows) if len(held_rows) else None
    views = [open_views(dataset) if recipe.data.views else [] for dataset in datasets]
    saved_statistics = None if saved is None else saved.statistics
    # Of all embeddings that are trained on: a row counts once for each of its views.
    images = [each for own, dataset in zip(views, datasets, strict=True) for each in own or [dataset]]
    image_rows = [rows for own, rows in zip(views, rows_of, strict=True) for _ in own or [None]]
    statistics = prepare_statistics(saved_statistics, join_datasets(images), join_rows(images, image_rows), recipe)
    batches = mix(
        [Part(*each) for each in zip(texts.datasets, texts.sources, rows_of, views, strict=True)],
        recipe.data,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        memory_budget_bytes=memory_budget_bytes,
    )
    return Inputs(trained_on, texts, rows, views, held_out, statistics, batches)
