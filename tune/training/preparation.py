"""What a run computes from the dataset before its first step: tokenizer and standardisation.

Promises: computed once per output and published there whole; even the first run reads them back, so that a resumed run
uses the same values.
"""

import pathlib

import numpy as np

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.storage import publish_folder
from lit_precompute.towers.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.texts import iterate_texts
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.standardisation import vector_statistics
from lit_precompute.tune.training.run_directory import RunDirectory


def prepare_tokenizer(directory: RunDirectory, dataset: EmbeddingDataset, recipe: Recipe) -> Tokenizer:
    """Returns the run's tokenizer: the recipe's file, or one trained on the captions."""
    if not directory.tokenizer.exists():
        tokenizer = train_tokenizer(recipe.tokenizer, iterate_texts(dataset), lower_case=recipe.text.lower_case)
        publish_folder(directory.tokenizer, lambda path: tokenizer.save(str(path)))
    return load_tokenizer(str(directory.tokenizer))


def prepare_statistics(directory: RunDirectory, dataset: EmbeddingDataset, recipe: Recipe) -> Statistics | None:
    """Returns mean and deviation of the dataset's embeddings, or None if the recipe does not standardise."""
    if not recipe.image_side.standardise:
        return None
    if not directory.statistics.exists():
        computed = dict(zip(Statistics._fields, vector_statistics(dataset), strict=True))

        def fill(path: pathlib.Path) -> None:
            for name, values in computed.items():
                np.save(path / f"{name}.npy", values.astype(np.float32))

        publish_folder(directory.statistics, fill)
    return Statistics(**{name: np.load(directory.statistics / f"{name}.npy") for name in Statistics._fields})
