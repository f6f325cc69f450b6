"""The tuned model: a directory that embeds texts, and stored image vectors, into one space.

    model/
      tuned_model.json          recipe, scale, widths, card of the image tower, each file's hash, library versions
      parameters.safetensors    txt/... (big_vision's names), img/{kernel,bias,mean,deviation}
      tokenizer/                the tokenizer's files

Promises: nothing in it runs code when loaded; it appears whole, by rename; a file that is missing, extra, changed or of
another shape is an error that names it. Fits exactly those datasets whose tower has the same model identity.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.schemas.storage import publish_folder
from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.tokenizers import Tokenizer, load_tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.sides import Sides, make_sides
from lit_precompute.tune.model.tuned_model_files import (
    PARAMETERS_NAME,
    TOKENIZER_FOLDER,
    TunedModelError,
    check_files,
    find_model,
    read_card,
    write_card,
)

_ROWS_AT_ONCE = 256  # one shape, so that each side compiles once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TunedModel:
    """A text tower with all that belongs to it.

    Attributes:
      recipe: how it was trained.
      sides: the image side and the text tower.
      image_parameters: of the image side's head, by name; empty without one.
      text_parameters: of the text tower, by name.
      tokenizer: texts to the text tower's tokens.
      statistics: the image side's standardisation, or None.
      scale: 1/temperature: similarities times this are the logits.
      image_tower: card of the image tower, as the dataset's manifest has it.
      training: what the training was like, as JSON; for people, nothing relies on it.
    """

    recipe: Recipe
    sides: Sides
    image_parameters: Mapping[str, np.ndarray]
    text_parameters: Mapping[str, np.ndarray]
    tokenizer: Tokenizer
    statistics: Statistics | None
    scale: float
    image_tower: Mapping[str, Any]
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def output_width(self) -> int:
        """Width of the shared space."""
        return self.sides.text.output_width

    def check_goes_with(self, dataset: EmbeddingDataset) -> None:
        """Raises unless the dataset was embedded by the network that the model was tuned on.

        Its images may have been preprocessed differently; `preprocessing_differences` says how. Where a card does not
        tell the network (one written by hand), fingerprints decide.

        Raises:
          TunedModelError: another network; what differs is named with both values.
        """
        tower, own = dataset.manifest.tower, _tower_card(self.image_tower)
        if tower.fingerprint == own.fingerprint:
            return
        if tower.model_identity is None or own.model_identity is None:
            raise TunedModelError(
                f"{dataset.path}: its tower has the fingerprint {tower.fingerprint} ('{tower.name}'), the model was "
                f"tuned on {own.fingerprint} ('{own.name}'): embed the images with that tower, with the same weights "
                "and resolution"
            )
        if tower.model_identity != own.model_identity:
            differences = tower.identity_differences(own)
            words = [f"{name} is {theirs!r}, the model's is {mine!r}" for name, (theirs, mine) in differences.items()]
            raise TunedModelError(
                f"{dataset.path}: its tower '{tower.name}' is not the one that the model was tuned on, '{own.name}': "
                f"{'; '.join(words)}. Embed the images with that tower and the same weights"
            )

    def preprocessing_differences(self, dataset: EmbeddingDataset) -> dict[str, dict[str, Any]]:
        """Returns how the dataset's images were preprocessed differently from those the model was tuned on.

        Returns:
          By field of the preprocessing, or `resolution`, `compute_type`, `position_resize`: the values of `model` and
          `dataset`.
        """
        differences = _tower_card(self.image_tower).preprocessing_differences(dataset.manifest.tower)
        return {name: {"model": mine, "dataset": theirs} for name, (mine, theirs) in differences.items()}

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32 [n, d] of unit rows; a row does not depend on the other texts."""
        assert not isinstance(texts, str), "a list of texts is expected, not one text"
        tokens = self.tokenizer.encode(list(texts), self.recipe.text.max_tokens)
        return _in_batches(self._embed_tokens, tokens, self.output_width)

    def embed_images(self, vectors: np.ndarray) -> np.ndarray:
        """Returns float32 [n, d] of unit rows for vectors [n, D] of any floating type.

        Raises:
          ValueError: vectors of another width than the image tower's, or int8 vectors, which lack their scales here.
        """
        if np.issubdtype(vectors.dtype, np.integer):
            raise ValueError(
                f"image vectors must be of a floating type, got {vectors.dtype}: a dataset's `rows(...).vectors()` "
                "gives float32 of any stored type"
            )
        width = self.image_tower["output_width"]
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise ValueError(
                f"image vectors must be [n, {width}], as '{self.image_tower['name']}' gives them, "
                f"got {list(vectors.shape)}"
            )
        return _in_batches(self._embed_vectors, np.asarray(vectors, np.float32), self.output_width)

    @functools.cached_property
    def _embed_tokens(self) -> Callable[[np.ndarray], jax.Array]:
        encode = jax.jit(lambda parameters, tokens: unit_rows(self.sides.text.apply(parameters, tokens)))
        return functools.partial(encode, jax.device_put(dict(self.text_parameters)))

    @functools.cached_property
    def _embed_vectors(self) -> Callable[[np.ndarray], jax.Array]:
        apply = self.sides.image.apply
        encode = jax.jit(lambda parameters, vectors: unit_rows(apply(parameters, StoredVectors(vectors, None))))
        return functools.partial(encode, jax.device_put(dict(self.image_parameters)))

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the model; the directory appears whole.

        Raises:
          FileExistsError: the directory exists and is not empty.
        """
        arrays = self._named_arrays()

        def fill(folder: pathlib.Path) -> None:
            safetensors.numpy.save_file(arrays, folder / PARAMETERS_NAME)
            self.tokenizer.save(str(folder / TOKENIZER_FOLDER))
            write_card(folder, self._description(arrays))

        publish_folder(directory, fill)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "TunedModel":
        """Returns the model of a directory, which may also be the output of a `lit-tune` run that holds it.

        Raises:
          TunedModelError: no such model, a newer version, files that are not as they were saved, or parameters that
            are missing, extra or misshapen.
        """
        folder = find_model(pathlib.Path(directory))
        card = read_card(folder)
        check_files(folder, card)
        try:
            recipe = Recipe.from_json(card["recipe"])
            _tower_card(card["image_tower"])
            tokenizer = load_tokenizer(str(folder / TOKENIZER_FOLDER))
            arrays = safetensors.numpy.load_file(folder / PARAMETERS_NAME)
            image = _within(arrays, "img/")
            statistics = _pop_statistics(image, recipe, card["image_tower"]["output_width"])
            sides = make_sides(
                recipe,
                width=card["image_tower"]["output_width"],
                vocabulary_size=tokenizer.vocabulary_size,
                statistics=statistics,
            )
            if sides.text.output_width != card["output_width"]:
                raise ValueError(f"output_width is {card['output_width']}, the recipe's is {sides.text.output_width}")
            image_parameters = sides.image.read_parameters(image, f"{PARAMETERS_NAME}, image side")
            text_parameters = sides.text.read_parameters(_within(arrays, "txt/"), f"{PARAMETERS_NAME}, text tower")
        except (ValueError, SafetensorError) as error:
            raise TunedModelError(f"{folder}: {error}") from error
        return cls(
            recipe=recipe,
            sides=sides,
            image_parameters=image_parameters,
            text_parameters=text_parameters,
            tokenizer=tokenizer,
            statistics=statistics,
            scale=card["scale"],
            image_tower=card["image_tower"],
            training=card["training"],
        )

    def _named_arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            f"txt/{name}": value for name, value in self.sides.text.write_parameters(self.text_parameters).items()
        }
        arrays |= {f"img/{name}": np.asarray(value) for name, value in self.image_parameters.items()}
        if self.statistics is not None:
            arrays |= {f"img/{name}": value for name, value in self.statistics._asdict().items()}
        return arrays

    def _description(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {
            "recipe": self.recipe.to_json(),
            "scale": self.scale,
            "output_width": self.output_width,
            "num_parameters": sum(array.size for array in arrays.values()),
            "image_tower": dict(self.image_tower),
            "training": dict(self.training),
        }


def _tower_card(image_tower: Mapping[str, Any]) -> TowerCard:
    return TowerCard.model_validate(dict(image_tower))


def _within(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _pop_statistics(image: dict[str, np.ndarray], recipe: Recipe, width: int) -> Statistics | None:
    """Takes mean and deviation out of the image side's arrays, where the recipe standardises.

    Raises:
      ValueError: one is missing or of another shape.
    """
    if not recipe.image_side.standardise:
        return None
    found = {name: image.pop(name, np.zeros(0, np.float32)) for name in Statistics._fields}
    shapes = {name: value.shape for name, value in found.items()}
    if set(shapes.values()) != {(width,)}:
        raise ValueError(f"{PARAMETERS_NAME}: mean and deviation of the image side must be [{width}], got {shapes}")
    return Statistics(**found)


def _in_batches(encode: Callable[[np.ndarray], jax.Array], rows: np.ndarray, width: int) -> np.ndarray:
    """Returns what `encode` gives for all rows, so many at a time, the last ones padded."""
    result = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        piece = rows[start : start + _ROWS_AT_ONCE]
        padded = np.pad(piece, ((0, _ROWS_AT_ONCE - len(piece)), (0, 0)))
        result[start : start + len(piece)] = np.asarray(encode(padded))[: len(piece)]
    return result
