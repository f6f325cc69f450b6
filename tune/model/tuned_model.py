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
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from flax import nnx
from safetensors import SafetensorError

from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.towers.text.vit import TextTower, from_flat, to_flat
from lit_precompute.towers.tokenizers.tokenizer import Tokenizer, load_tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model import image_side
from lit_precompute.tune.model.image_side import Statistics
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
      tower: the text tower.
      tokenizer: texts to its tokens.
      head: parameters of the image side's head; empty without one.
      statistics: the image side's standardisation, or None.
      scale: 1/temperature: similarities times this are the logits.
      image_tower: card of the image tower, as the dataset's manifest has it.
      training: what the training was like, as JSON; for people, nothing relies on it.
    """

    recipe: Recipe
    tower: TextTower
    tokenizer: Tokenizer
    head: Mapping[str, np.ndarray]
    statistics: Statistics | None
    scale: float
    image_tower: Mapping[str, Any]
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def output_width(self) -> int:
        """Width of the shared space."""
        return self.tower.head.out_features

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
        graph, parameters = nnx.split(self.tower, nnx.Param)
        encode = jax.jit(lambda parameters, tokens: unit_rows(nnx.merge(graph, parameters)(tokens)))
        return functools.partial(encode, parameters)

    @functools.cached_property
    def _embed_vectors(self) -> Callable[[np.ndarray], jax.Array]:
        encode = jax.jit(lambda head, vectors: unit_rows(image_side.encode(head, self.statistics, vectors)))
        return functools.partial(encode, jax.device_put(dict(self.head)))

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the model; the directory appears by rename, and must not be there before."""
        directory = pathlib.Path(directory)
        temporary = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")
        temporary.mkdir(parents=True)
        try:
            arrays = self._named_arrays()
            safetensors.numpy.save_file(arrays, temporary / PARAMETERS_NAME)
            self.tokenizer.save(str(temporary / TOKENIZER_FOLDER))
            write_card(temporary, self._description(arrays))
            temporary.rename(directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

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
            # Shapes alone: drawing parameters only to overwrite them would cost seconds.
            tower = nnx.eval_shape(lambda: make_text_tower(recipe, tokenizer, card["output_width"], nnx.Rngs(0)))
            from_flat(tower, _within(arrays, "txt/"))
            image = _within(arrays, "img/")
            _check_image_side(image, recipe, card)
        except (ValueError, SafetensorError) as error:
            raise TunedModelError(f"{folder}: {error}") from error
        statistics = Statistics(image.pop("mean"), image.pop("deviation")) if recipe.image_side.standardise else None
        return cls(
            recipe=recipe,
            tower=tower,
            tokenizer=tokenizer,
            head=image,
            statistics=statistics,
            scale=card["scale"],
            image_tower=card["image_tower"],
            training=card["training"],
        )

    def _named_arrays(self) -> dict[str, np.ndarray]:
        arrays = {f"txt/{name}": value for name, value in to_flat(self.tower).items()}
        arrays |= {f"img/{name}": np.asarray(value) for name, value in self.head.items()}
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


def make_text_tower(recipe: Recipe, tokenizer: Tokenizer, output_width: int, rngs: nnx.Rngs) -> TextTower:
    """Returns the recipe's text tower with parameters drawn from `rngs`."""
    return TextTower(
        recipe.text_tower,
        vocabulary_size=tokenizer.vocabulary_size,
        max_tokens=recipe.text.max_tokens,
        output_width=output_width,
        rngs=rngs,
        compute_type=recipe.compute_type,
    )


def _tower_card(image_tower: Mapping[str, Any]) -> TowerCard:
    return TowerCard.model_validate(dict(image_tower))


def _within(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _check_image_side(image: Mapping[str, np.ndarray], recipe: Recipe, card: Mapping[str, Any]) -> None:
    """Raises ValueError unless the image side has the parameters that its recipe asks for, and no others."""
    width, head_width = card["image_tower"]["output_width"], recipe.image_side.head_width
    expected: dict[str, tuple[int, ...]] = {}
    if head_width is not None:
        expected |= {"kernel": (width, head_width), "bias": (head_width,)}
    if recipe.image_side.standardise:
        expected |= {"mean": (width,), "deviation": (width,)}
    found = {name: value.shape for name, value in image.items()}
    if found != expected:
        raise ValueError(f"the image side's parameters must be {expected}, got {found}")


def _in_batches(encode: Callable[[np.ndarray], jax.Array], rows: np.ndarray, width: int) -> np.ndarray:
    """Returns what `encode` gives for all rows, so many at a time, the last ones padded."""
    result = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        piece = rows[start : start + _ROWS_AT_ONCE]
        padded = np.pad(piece, ((0, _ROWS_AT_ONCE - len(piece)), (0, 0)))
        result[start : start + len(piece)] = np.asarray(encode(padded))[: len(piece)]
    return result
