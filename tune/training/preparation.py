"""What a run computes before its first step: tokenizer, standardisation, and the text tower's locked parameters.

Promises: computed before the output is claimed, then saved there whole; a resumed run reads the same values back.
"""

import itertools
import json
import pathlib
import shutil
from collections.abc import Mapping, Set

import numpy as np
import safetensors.numpy
from jaxtyping import Array, Float32, Int64

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.schemas.storage import publish_folder, write_text_atomically
from lit_precompute.towers.tokenizers import TextLengths, Tokenizer, load_tokenizer, measure_lengths, train_tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_sample import sample_texts
from lit_precompute.tune.data.texts import TEXTS, iterate_texts, nothing_to_tune_on
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.standardisation import vector_statistics
from lit_precompute.tune.training.failures import TrainingError
from lit_precompute.tune.training.run_directory import RunDirectory

_LOCKED_NAME = "parameters.safetensors"
_LENGTHS_NAME = "text_lengths.json"


def prepare_tokenizer(
    saved: pathlib.Path | None,
    dataset: Blocks,
    recipe: Recipe,
    rows: Int64[np.ndarray, " n"] | None = None,
) -> Tokenizer:
    """Returns the tokenizer that this run has saved; otherwise the recipe's file, or one trained on the rows' captions.

    Raises:
      ValueError: the dataset has no texts, or the tokenizer cannot be made.
    """
    if saved is not None and saved.exists():
        return load_tokenizer(str(saved))
    texts = iterate_texts(dataset, rows, recipe.text)
    if (first := next(texts, None)) is None:
        num_rows = dataset.num_rows if rows is None else len(rows)
        raise ValueError(nothing_to_tune_on(dataset, num_rows, recipe.text.field_names))
    texts = itertools.chain([first], texts)
    return train_tokenizer(recipe.tokenizer, texts, lower_case=recipe.text.lower_case)


def prepare_statistics(
    saved: pathlib.Path | None, dataset: Blocks, rows: Int64[np.ndarray, " n"] | None, recipe: Recipe
) -> Statistics | None:
    """Returns mean and deviation of the rows' embeddings, or None if the recipe does not standardise."""
    if not recipe.image_side.standardise:
        return None
    if saved is not None and saved.exists():
        return Statistics(**{name: np.load(saved / f"{name}.npy") for name in Statistics._fields})
    return Statistics(*(values.astype(np.float32) for values in vector_statistics(dataset, rows)))


def save_locked(directory: RunDirectory, locked: Mapping[str, Float32[Array | np.ndarray, "..."]]) -> None:
    """Saves the parameters that are not trained, before the first checkpoint, which needs them; none: nothing."""
    arrays = {name: np.asarray(value) for name, value in locked.items()}
    shutil.rmtree(directory.locked, ignore_errors=True)  # of a process that was killed before its first checkpoint
    if arrays:
        publish_folder(directory.locked, lambda path: safetensors.numpy.save_file(arrays, path / _LOCKED_NAME))


def read_locked(directory: RunDirectory, names: Set[str]) -> dict[str, Float32[np.ndarray, "..."]]:
    """Returns what `save_locked` saved.

    Raises:
      TrainingError: these parameters are not what is there.
    """
    path = directory.locked / _LOCKED_NAME
    locked = safetensors.numpy.load_file(path) if path.exists() else {}
    if locked.keys() != names:
        raise TrainingError(
            f"{path}: must hold the {len(names)} parameters that are not trained, has {len(locked)}; they belong to "
            "the checkpoints beside it: put the file back, or choose another --output"
        )
    return locked


def save_preparation(directory: RunDirectory, tokenizer: Tokenizer | None, statistics: Statistics | None) -> None:
    """Saves what the claimed directory lacks of them."""

    def fill(path: pathlib.Path) -> None:
        assert statistics is not None
        for name, values in statistics._asdict().items():
            np.save(path / f"{name}.npy", values)

    if tokenizer is not None and not directory.tokenizer.exists():
        publish_folder(directory.tokenizer, lambda path: tokenizer.save(str(path)))
    if statistics is not None and not directory.statistics.exists():
        publish_folder(directory.statistics, fill)


def measure_text_lengths(
    directory: RunDirectory,
    dataset: Blocks,
    tokenizer: Tokenizer,
    recipe: Recipe,
    rows: Int64[np.ndarray, " n"] | None = None,
) -> dict[str, TextLengths]:
    """Returns how long a sample of each field's texts is in pieces, and saves it beside the tokenizer.

    A field of whose sample no row has a text is not among them.

    Raises:
      ValueError: what an earlier process saved is damaged.
    """
    path = directory.tokenizer / _LENGTHS_NAME
    if path.exists():
        return _read_lengths(path)
    lengths = {
        field: measure_lengths(tokenizer, texts, recipe.text.max_tokens)
        for field, texts in sample_texts(dataset, recipe.text, rows).items()
        if texts
    }
    if lengths:
        content = {field: each._asdict() for field, each in lengths.items()}
        write_text_atomically(path, json.dumps(content, indent=1) + "\n")
    return lengths


def _read_lengths(path: pathlib.Path) -> dict[str, TextLengths]:
    """Returns the lengths that an earlier process saved; a version before named texts saved one field's alone."""
    content = read_json_object(path, "remove it; it is measured again")
    fields = {TEXTS: content} if {*content} == {*TextLengths._fields} else content
    for field, saved in fields.items():
        is_whole = isinstance(saved, dict) and {*saved} == {*TextLengths._fields}
        if not is_whole or not all(type(value) is int for value in saved.values()):
            raise ValueError(f"{path}: {field} must have the numbers {', '.join(TextLengths._fields)}; remove it")
    return {field: TextLengths(**saved) for field, saved in fields.items()}
