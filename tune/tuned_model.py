"""The tuned model: a directory that embeds texts, and stored image vectors, into one space.

    model/
      tuned_model.json          recipe, scale, widths, card of the image tower, library versions
      parameters.safetensors    txt/... (big_vision's names), img/kernel, img/bias, img/mean, img/deviation
      tokenizer.json ...        the tokenizer's files

Promises: nothing in it runs code when loaded; it appears whole, by rename; a file that is missing, extra or of another
shape is an error that names it. Goes with exactly those datasets whose tower has the same fingerprint.
"""

import dataclasses
import functools
import importlib.metadata
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx
from safetensors import SafetensorError

from schemas import EmbeddingDataset
from tune import image_side
from tune.image_side import Statistics
from tune.loss import unit_rows
from tune.recipes import Recipe
from tune.text_tower import TextTower, from_flat, to_flat
from tune.tokenizers import Tokenizer, load_tokenizer

FORMAT_VERSION = 1
_DESCRIPTION = "tuned_model.json"
_PARAMETERS = "parameters.safetensors"
_LIBRARIES = ("lit-precompute", "jax", "flax")
_TEXTS_AT_ONCE = 256  # one shape, so that the tower compiles once


class TunedModelError(ValueError):
    """A directory is not a whole tuned model, or does not go with a dataset."""


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
    """

    recipe: Recipe
    tower: TextTower
    tokenizer: Tokenizer
    head: Mapping[str, np.ndarray]
    statistics: Statistics | None
    scale: float
    image_tower: Mapping[str, Any]

    @property
    def tower_fingerprint(self) -> str:
        """The image tower's fingerprint."""
        return self.image_tower["fingerprint"]

    def check_goes_with(self, dataset: EmbeddingDataset) -> None:
        """Raises unless the dataset was embedded by the tower that the model was tuned on.

        Raises:
          TunedModelError: other fingerprints; both are named.
        """
        tower = dataset.manifest.tower
        if tower.fingerprint != self.tower_fingerprint:
            raise TunedModelError(
                f"{dataset.path}: its tower has the fingerprint {tower.fingerprint} ('{tower.name}'), the model was "
                f"tuned on {self.tower_fingerprint} ('{self.image_tower['name']}'): embed the pictures with that "
                "tower, with the same weights and resolution"
            )

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32 [n, d] of unit rows."""
        tokens = self.tokenizer.encode(texts, self.recipe.text.max_tokens)
        padded = np.pad(tokens, ((0, -len(tokens) % _TEXTS_AT_ONCE), (0, 0)))
        pieces = [self._embed_tokens(piece) for piece in padded.reshape(-1, _TEXTS_AT_ONCE, tokens.shape[1])]
        return np.concatenate([np.asarray(piece) for piece in pieces])[: len(texts)]

    def embed_images(self, vectors: np.ndarray) -> np.ndarray:
        """Returns float32 [n, d] of unit rows for stored vectors [n, D]."""
        return np.asarray(self._embed_vectors(jnp.asarray(vectors)))

    @functools.cached_property
    def _embed_tokens(self):
        graph, parameters = nnx.split(self.tower, nnx.Param)
        encode = jax.jit(lambda parameters, tokens: unit_rows(nnx.merge(graph, parameters)(tokens)))
        return functools.partial(encode, parameters)

    @functools.cached_property
    def _embed_vectors(self):
        head = {name: jnp.asarray(value) for name, value in self.head.items()}
        return jax.jit(lambda vectors: unit_rows(image_side.encode(head, self.statistics, vectors)))

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the model; the directory appears by rename, and must not be there before."""
        directory = pathlib.Path(directory)
        temporary = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")
        temporary.mkdir(parents=True)
        try:
            self.tokenizer.save(str(temporary))
            safetensors.numpy.save_file(self._named_arrays(), temporary / _PARAMETERS)
            text = json.dumps(self._description(), indent=1, sort_keys=True)
            (temporary / _DESCRIPTION).write_text(text + "\n", encoding="utf-8")
            temporary.rename(directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "TunedModel":
        """Returns the model of a directory.

        Raises:
          TunedModelError: no such model, a newer version, or parameters that are missing, extra or misshapen.
        """
        directory = pathlib.Path(directory)
        description = _read_description(directory)
        recipe = Recipe.from_json(description["recipe"])
        tokenizer = load_tokenizer(str(directory))
        try:
            arrays = safetensors.numpy.load_file(directory / _PARAMETERS)
        except (OSError, SafetensorError) as error:
            raise TunedModelError(f"{directory / _PARAMETERS}: cannot be read ({error})") from error
        tower = make_text_tower(recipe, tokenizer, description["output_width"])
        try:
            from_flat(tower, {name[4:]: value for name, value in arrays.items() if name.startswith("txt/")})
        except ValueError as error:
            raise TunedModelError(f"{directory / _PARAMETERS}: {error}") from error
        image = {name[4:]: value for name, value in arrays.items() if name.startswith("img/")}
        statistics = Statistics(image.pop("mean"), image.pop("deviation")) if recipe.image_side.standardise else None
        return cls(
            recipe=recipe,
            tower=tower,
            tokenizer=tokenizer,
            head=image,
            statistics=statistics,
            scale=description["scale"],
            image_tower=description["image_tower"],
        )

    def _named_arrays(self) -> dict[str, np.ndarray]:
        arrays = {f"txt/{name}": value for name, value in to_flat(self.tower).items()}
        arrays |= {f"img/{name}": np.asarray(value) for name, value in self.head.items()}
        if self.statistics is not None:
            arrays |= {f"img/{name}": value for name, value in self.statistics._asdict().items()}
        return arrays

    def _description(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "recipe": self.recipe.to_json(),
            "scale": self.scale,
            "output_width": self.tower.head.out_features,
            "image_tower": dict(self.image_tower),
            "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        }


def make_text_tower(recipe: Recipe, tokenizer: Tokenizer, output_width: int) -> TextTower:
    """Returns the recipe's text tower with parameters drawn from its seed."""
    return TextTower(
        recipe.text_tower,
        vocabulary_size=tokenizer.vocabulary_size,
        max_tokens=recipe.text.max_tokens,
        output_width=output_width,
        rngs=nnx.Rngs(recipe.seed),
        compute_type=recipe.compute_type,
    )


def _read_description(directory: pathlib.Path) -> dict[str, Any]:
    path = directory / _DESCRIPTION
    if not path.is_file():
        raise TunedModelError(
            f"{path}: missing, this is not a tuned model; give the folder `model` that lit-tune wrote"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TunedModelError(f"{path}: not JSON ({error})") from error
    version = description.get("format_version")
    if version != FORMAT_VERSION:
        raise TunedModelError(f"{path}: format_version is {version}, this library reads {FORMAT_VERSION}")
    return description
