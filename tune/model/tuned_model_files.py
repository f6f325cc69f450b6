"""The files of a tuned model: its card, its parameters, their sizes and hashes.

Promises: a damaged, incomplete or newer model is an error that says where, what and what to do. Whoever wrote the card,
it names no file outside the model's folder (links there are followed), and nothing is imported.
"""

import importlib.metadata
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open

from lit_precompute.schemas.json_files import JsonFileError, faults_of, read_json_object
from lit_precompute.schemas.storage import file_sha256
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.towers.text.tuned import CARD_NAME, MODEL_FOLDER, PARAMETERS_NAME, TEXT_PREFIX, TOKENIZER_FOLDER
from lit_precompute.towers.tokenizers.saving import DESCRIPTION_NAME
from lit_precompute.towers.weights.naming import Naming, write_names

Arrays = dict[str, Float32[np.ndarray, "..."]]

# Version 2 moved execution settings out of the recipe and tags its parts by kind; version 1 is still read.
FORMAT_VERSION = 2
# The file that any run has beside its model.
RUN_NAME = "run.json"
_EXECUTION_OF_VERSION_1 = ("micro_batch_size", "memory_budget_bytes", "log_every_steps", "checkpoint_every_steps")
_PREFIXES = ("img/", TEXT_PREFIX)
_COPY_AGAIN = "copy the model again from where it came from"
_LIBRARIES = ("lit-precompute", "jax", "flax")
# Of a model over stored text embeddings alone, and of one whose loss adds a bias.
TEXT_EMBEDDINGS_KEY, BIAS_KEY = "text_embeddings", "bias"
_KEYS = {
    "format_version",
    "recipe",
    "scale",
    "output_width",
    "num_parameters",
    "image_tower",
    "training",
    "files",
    "libraries",
}


class TunedModelError(ValueError):
    """A directory is not a complete tuned model, or the model does not fit a dataset."""


def write_card(folder: pathlib.Path, fields: Mapping[str, Any]) -> None:
    """Writes the card of a model whose other files are in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    }
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    card = {"format_version": FORMAT_VERSION, **fields, "files": files, "libraries": libraries}
    assert set(card) - {TEXT_EMBEDDINGS_KEY, BIAS_KEY} == _KEYS, sorted(set(card) ^ _KEYS)
    (folder / CARD_NAME).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def find_model(directory: pathlib.Path) -> pathlib.Path:
    """Returns the folder that contains the card: this one, or `model` in it.

    Raises:
      TunedModelError: there is none, or the training has not finished.
    """
    for folder in (directory, directory / MODEL_FOLDER):
        if (folder / CARD_NAME).is_file():
            return folder
    if not directory.is_dir():
        raise TunedModelError(f"{directory}: there is no such directory; give one that lit-tune wrote")
    if (directory / RUN_NAME).is_file():
        raise TunedModelError(
            f"{directory}: the training is not finished, so there is no model yet; run its command again to resume"
        )
    raise TunedModelError(
        f"{directory}: no {CARD_NAME}, this is not a tuned model; give the folder `{MODEL_FOLDER}` that lit-tune wrote"
    )


def read_card(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the card.

    Raises:
      TunedModelError: it is not JSON, of a newer version, has unknown or missing keys, or no card of an image tower.
    """
    path = folder / CARD_NAME
    try:
        card = read_json_object(path, _COPY_AGAIN)
    except JsonFileError as error:
        raise TunedModelError(str(error)) from error
    version = card.get("format_version")
    if version not in (1, FORMAT_VERSION):
        raise TunedModelError(
            f"{path}: format_version is {version!r}, this library reads up to {FORMAT_VERSION}; update lit-precompute"
        )
    unknown, missing = sorted(set(card) - _KEYS - {TEXT_EMBEDDINGS_KEY, BIAS_KEY}), sorted(_KEYS - set(card))
    if unknown or missing:
        raise TunedModelError(f"{path}: unknown keys {unknown}, missing keys {missing}")
    if not isinstance(card["scale"], float) or not 0 < card["scale"] < math.inf:
        raise TunedModelError(f"{path}: scale must be a number > 0, got {card['scale']!r}")
    bias = card.get(BIAS_KEY, 0.0)
    if not isinstance(bias, float) or not math.isfinite(bias):
        raise TunedModelError(f"{path}: {BIAS_KEY} must be a finite number, got {bias!r}")
    if not isinstance(card["training"], dict):
        raise TunedModelError(f"{path}: training must be a JSON object, got {card['training']!r:.80}")
    if faults := faults_of(TowerCard, card["image_tower"], "image_tower"):
        raise TunedModelError(f"{path}: {faults}")
    _refuse_modules(path, card["recipe"])
    return card if version == FORMAT_VERSION else card | {"recipe": _upgrade_recipe(card["recipe"])}


def _refuse_modules(path: pathlib.Path, recipe: Any) -> None:
    """Raises TunedModelError if a part's kind is `module:name`, which a recipe that one writes oneself may have."""
    for name, part in recipe.items() if isinstance(recipe, dict) else ():
        kind = part.get("kind", "") if isinstance(part, dict) else ""
        if ":" in str(kind):
            raise TunedModelError(
                f"{path}: recipe.{name}.kind must be a plain name, got {kind!r}; a tuned model imports no module: give "
                "--module to lit-eval, or import it first"
            )


def _upgrade_recipe(recipe: Any) -> Any:
    """Returns a recipe of version 1 as one of version 2; anything else is left for its reader to refuse."""
    if not isinstance(recipe, dict):
        return recipe
    upgraded = {name: value for name, value in recipe.items() if name not in _EXECUTION_OF_VERSION_1}
    for part, name in (("loss", "tile_rows"), ("optimizer", "name")):
        if isinstance(upgraded.get(part), dict):
            upgraded[part] = {key: value for key, value in upgraded[part].items() if key != name}
    return upgraded


def read_sides(folder: pathlib.Path) -> tuple[Arrays, Arrays]:
    """Returns the arrays of the image side and those of the text tower, under the names that the file gives them.

    Raises:
      TunedModelError: it is damaged, or has an array that is of neither side or not float32.
    """
    path = folder / PARAMETERS_NAME
    try:
        with safe_open(path, framework="numpy") as file:
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  # it is no dict
            _check_arrays(path, types)
            image, text = (
                {name.removeprefix(prefix): file.get_tensor(name) for name in types if name.startswith(prefix)}
                for prefix in _PREFIXES
            )
    except SafetensorError as error:
        raise TunedModelError(f"{path}: {error}; {_COPY_AGAIN}") from error
    return image, text


def _check_arrays(path: pathlib.Path, types: Mapping[str, str]) -> None:
    """Raises TunedModelError unless all arrays, of these types by name, may be parameters."""
    foreign = [name for name in types if not name.startswith(_PREFIXES)]
    if foreign:
        raise TunedModelError(f"{path}: arrays must be under {' or '.join(_PREFIXES)}, got {_named(foreign)}")
    others = [f"{name} of type {kind}" for name, kind in types.items() if kind != "F32"]
    if others:
        raise TunedModelError(f"{path}: parameters must be float32, got {_named(others)}")


def refuse_unread(namings: Sequence[Naming], arrays: Arrays, parameters: Arrays) -> None:
    """Raises ValueError if the text tower's parameters are not all that its arrays hold.

    A naming may ignore arrays, as in a checkpoint of more than the tower; a tuned model has no others.
    """
    if namings and not any(arrays.keys() == write_names(naming, parameters).keys() for naming in namings):
        unread = sorted(arrays.keys() - write_names(namings[0], parameters).keys())
        raise ValueError(f"{PARAMETERS_NAME}, text tower: arrays not expected: {_named(unread)}")


def _named(names: list[str]) -> str:
    shown = ", ".join(name if len(name) <= 100 else f"{name[:97]}..." for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def check_files(folder: pathlib.Path, card: Mapping[str, Any]) -> None:
    """Raises TunedModelError if a file is missing or has changed since it was saved, or is outside the folder."""
    for name, info in _listed_files(folder / CARD_NAME, card).items():
        path = folder / name
        if not path.is_file():
            raise TunedModelError(f"{path}: missing; {_COPY_AGAIN}")
        if path.stat().st_size != info["bytes"]:
            raise TunedModelError(
                f"{path}: must have {info['bytes']:,} bytes, got {path.stat().st_size:,}; {_COPY_AGAIN}"
            )
        found = file_sha256(path)
        if found != info["sha256"]:
            raise TunedModelError(f"{path}: SHA-256 must be {info['sha256']}, got {found}; {_COPY_AGAIN}")


def _listed_files(card: pathlib.Path, fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the card's list of files, by their names in the folder, checked."""
    files = fields["files"]
    if not isinstance(files, dict):
        raise TunedModelError(f"{card}: files must be a JSON object, got {files!r}")
    for name, info in files.items():
        path = pathlib.PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
            raise TunedModelError(f"{card}: files must be in the model's folder, got {name!r}")
        types = {key: type(value) for key, value in info.items()} if isinstance(info, dict) else {}
        if types != {"bytes": int, "sha256": str}:
            raise TunedModelError(f"{card}: files.{name} must be its bytes and sha256, got {info!r}")
    tokenizer = [] if TEXT_EMBEDDINGS_KEY in fields else [f"{TOKENIZER_FOLDER}/{DESCRIPTION_NAME}"]
    for name in (PARAMETERS_NAME, *tokenizer):
        if name not in files:
            raise TunedModelError(f"{card}: files must list {name}, got {sorted(files)}")
    return files
