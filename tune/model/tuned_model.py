"""The tuned model: a directory that embeds texts and stored image embeddings into one space.

    model/
      tuned_model.json          recipe, scale, widths, card of the image tower, each file's hash, library versions
      parameters.safetensors    txt/... (big_vision's names), img/{kernel,bias,mean,deviation}
      tokenizer/                the tokenizer's files; none in a model over stored text embeddings

Promises: loading runs no code from it; it appears whole, by rename; a missing or changed file, or a parameter that is
missing, unexpected, misshapen or of another type, is an error that names it. It fits the datasets whose tower has the
same model identity.
"""

import dataclasses
import functools
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from jaxtyping import Float32, Int32, Shaped

from lit_precompute.schemas import EmbeddingDataset, TowerCard
from lit_precompute.schemas.storage import file_sha256, publish_folder, refuse_url
from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.text.encoder import TextEncoder
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.losses.softmax import unit_rows
from lit_precompute.tune.model.fitting import check_same_network
from lit_precompute.tune.model.frozen_text import FrozenText
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.sides import Sides
from lit_precompute.tune.model.tuned_model_files import (
    BIAS_KEY,
    CARD_NAME,
    PARAMETERS_NAME,
    TEXT_EMBEDDINGS_KEY,
    TOKENIZER_FOLDER,
    find_model,
    write_card,
)
from lit_precompute.tune.model.tuned_model_loading import load_fields

_ROWS_AT_ONCE = 256  # a fixed shape, so that each side compiles once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TunedModel:
    """A tuned text tower with everything needed to use it.

    Attributes:
      recipe: how it was trained.
      sides: the image side and the text tower.
      image_parameters: of the image side's head, by name; empty without a head.
      text_parameters: of the text tower, by name.
      tokenizer: turns texts into the text tower's tokens; None where the text side is over stored embeddings.
      statistics: the image side's standardisation, or None.
      scale: 1/temperature: similarities times this are the logits.
      bias: what is added to them, so that their sigmoids are probabilities; None where the loss has none.
      image_tower: card of the image tower, from the dataset's manifest.
      training: facts about the training, as JSON, for information only.
      frozen_text: of what the text side was tuned on, where that is stored embeddings.
      text_tower: where the frozen text tower is, which embeds texts then; None: as `frozen_text` says.
      digest: SHA-256 of the card that it was loaded with, which has the hashes of all files; None if it was not loaded.
    """

    recipe: Recipe
    sides: Sides
    image_parameters: Mapping[str, Float32[np.ndarray, "..."]]
    text_parameters: Mapping[str, Float32[np.ndarray, "..."]]
    tokenizer: Tokenizer | None
    statistics: Statistics | None
    scale: float
    image_tower: Mapping[str, Any]
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    frozen_text: FrozenText | None = None
    text_tower: str | None = None
    bias: float | None = None
    digest: str | None = dataclasses.field(default=None, init=False)  # so that `dataclasses.replace` does not copy it

    @property
    def output_width(self) -> int:
        """Width of the shared space."""
        return self.sides.text.output_width

    def check_goes_with(self, dataset: EmbeddingDataset) -> None:
        """Raises unless the dataset was embedded by the network that the model was tuned on.

        Its images may have been preprocessed differently; `preprocessing_differences` says how. If a card does not
        identify the network (one written by hand), fingerprints decide.

        Raises:
          TunedModelError: another network; the message gives each difference with both values.
        """
        check_same_network(dataset, _tower_card(self.image_tower))

    def preprocessing_differences(self, dataset: EmbeddingDataset) -> dict[str, dict[str, Any]]:
        """Returns how preprocessing differs between the dataset and the images that the model was tuned on.

        Returns:
          The values of `model` and `dataset`, by field of the preprocessing or `resolution`, `compute_type`,
          `position_resize`.
        """
        differences = _tower_card(self.image_tower).preprocessing_differences(dataset.tower)
        return {name: {"model": mine, "dataset": theirs} for name, (mine, theirs) in differences.items()}

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "n {self.output_width}"]:
        """Returns unit-norm rows; a row does not depend on the other texts."""
        assert not isinstance(texts, str), "embed_texts takes a list of texts, not one text"
        if self.frozen_text is not None:
            return self.embed_text_vectors(self.text_encoder.embed(texts))
        return _in_batches(self._embed_tokens, self.tokens(texts), self.output_width)

    def embed_text_vectors(
        self, vectors: Float32[np.ndarray, "n text_width"]
    ) -> Float32[np.ndarray, "n {self.output_width}"]:
        """Returns unit-norm rows for embeddings of the frozen text tower."""
        assert self.frozen_text is not None, "the text side of this model takes tokens"
        return _in_batches(lambda rows: self._embed_tokens(StoredVectors(rows, None)), vectors, self.output_width)

    def tokens(self, texts: Sequence[str]) -> Int32[np.ndarray, "n length"]:
        """Returns the tokens of texts, as the text tower takes them; where it is frozen, as that one does."""
        if self.tokenizer is None:
            return self.text_encoder.tokens(texts)
        return self.tokenizer.encode(list(texts), self.recipe.text.max_tokens)

    @functools.cached_property
    def text_encoder(self) -> TextEncoder:
        """The frozen text tower of a model over stored text embeddings.

        Raises:
          TunedModelError: it is not known where it is, or another one is there.
        """
        assert self.frozen_text is not None, "the model has its text tower"
        return self.frozen_text.load_encoder(self.text_tower)

    def embed_images(
        self, vectors: Shaped[np.ndarray, "n image_width"]
    ) -> Float32[np.ndarray, "n {self.output_width}"]:
        """Returns unit-norm rows for image embeddings of any floating type.

        Raises:
          ValueError: embeddings of another width than the image tower's, or int8, which lack their scales here.
        """
        if np.issubdtype(vectors.dtype, np.integer):
            raise ValueError(
                f"image embeddings must be of a floating type, got {vectors.dtype}: a dataset's `rows(...).vectors()` "
                "gives float32 of any stored type"
            )
        width = self.image_tower["output_width"]
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise ValueError(
                f"image embeddings must be [n, {width}], as '{self.image_tower['name']}' gives them, "
                f"got {list(vectors.shape)}"
            )
        return _in_batches(self._embed_vectors, np.asarray(vectors, np.float32), self.output_width)

    def text_program(self) -> str:
        """Returns what the text tower computes, as StableHLO: changes to its code show here."""
        if self.frozen_text is not None:
            vectors: Any = jax.ShapeDtypeStruct((_ROWS_AT_ONCE, self.frozen_text.width), np.float32)
            head = self._encode_tokens.lower(dict(self.text_parameters), StoredVectors(vectors, None)).as_text()
            return f"{self.text_encoder.card.fingerprint}\n{self.text_encoder.program()}\n{head}"
        tokens = jax.ShapeDtypeStruct((_ROWS_AT_ONCE, self.recipe.text.max_tokens), np.int32)
        return self._encode_tokens.lower(dict(self.text_parameters), tokens).as_text()

    @functools.cached_property
    def _encode_tokens(self) -> jax.stages.Wrapped:
        return jax.jit(lambda parameters, tokens: unit_rows(self.sides.text.apply(parameters, tokens)))

    @functools.cached_property
    def _embed_tokens(self) -> Callable[[Any], jax.Array]:
        return functools.partial(self._encode_tokens, jax.device_put(dict(self.text_parameters)))

    @functools.cached_property
    def _embed_vectors(self) -> Callable[[np.ndarray], jax.Array]:
        apply = self.sides.image.apply
        encode = jax.jit(lambda parameters, vectors: unit_rows(apply(parameters, StoredVectors(vectors, None))))
        return functools.partial(encode, jax.device_put(dict(self.image_parameters)))

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the model; the directory appears whole, or not at all.

        Raises:
          FileExistsError: the directory exists and is not empty.
          ValueError: the directory is a URL.
        """
        refuse_url("model", directory)
        arrays = self._named_arrays()

        def fill(folder: pathlib.Path) -> None:
            safetensors.numpy.save_file(arrays, folder / PARAMETERS_NAME)
            if self.tokenizer is not None:
                self.tokenizer.save(str(folder / TOKENIZER_FOLDER))
            write_card(folder, self._description(arrays))
            # The library keeps its files from everyone but their owner.
            shutil.copymode(folder / CARD_NAME, folder / PARAMETERS_NAME)

        publish_folder(directory, fill)

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, text_tower: str | None = None) -> "TunedModel":
        """Returns the model of a directory, which may also be the output of a finished `lit-tune` run.

        Args:
          directory: of the model.
          text_tower: of a model over stored text embeddings, the name or folder (or NAME@WEIGHTS) of the frozen text
            tower that texts need; None: the one that the model names, if it is one of `lit-tune towers`.

        Raises:
          TunedModelError: no such model, a newer version, missing or changed files, or parameters that are missing,
            unexpected, misshapen or of another type.
        """
        refuse_url("model", directory)
        folder = find_model(pathlib.Path(directory))
        model = cls(**load_fields(folder, text_tower))
        object.__setattr__(model, "digest", file_sha256(folder / CARD_NAME))  # it is frozen
        return model

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
            **({} if self.bias is None else {BIAS_KEY: self.bias}),
            **({} if self.frozen_text is None else {TEXT_EMBEDDINGS_KEY: self.frozen_text.to_json()}),
        }


def _tower_card(image_tower: Mapping[str, Any]) -> TowerCard:
    return TowerCard.model_validate(dict(image_tower))


def _in_batches(encode: Callable[[np.ndarray], jax.Array], rows: np.ndarray, width: int) -> np.ndarray:
    """Returns the results of `encode` for all rows, computed in batches of one size; the last one is padded."""
    result = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        piece = rows[start : start + _ROWS_AT_ONCE]
        padded = np.pad(piece, ((0, _ROWS_AT_ONCE - len(piece)), (0, 0)))
        result[start : start + len(piece)] = np.asarray(encode(padded))[: len(piece)]
    return result
