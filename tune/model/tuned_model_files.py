"""The files of a tuned model: its card, its parameters, their sizes and hashes.

Promises: a damaged, incomplete or newer model is an error that says where, what and what to do. Whoever wrote the card,
no file outside the model's folder is read, and nothing is imported.
"""

import importlib.metadata
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from jaxtyping import Shaped

from lit_precompute.schemas.storage import file_sha256
from lit_precompute.towers.tokenizers.tokenizer import DESCRIPTION_NAME

Arrays = dict[str, Shaped[np.ndarray, "..."]]

# Version 2 moved execution settings out of the recipe and tags its parts by kind; version 1 is still read.
FORMAT_VERSION = 2
CARD_NAME = "tuned_model.json"
PARAMETERS_NAME = "parameters.safetensors"
TOKENIZER_FOLDER = "tokenizer"
# Where `lit-tune` puts the model in its output, and the file that any run has beside it.
MODEL_FOLDER, RUN_NAME = "model", "run.json"
_EXECUTION_OF_VERSION_1 = ("micro_batch_size", "memory_budget_bytes", "log_every_steps", "checkpoint_every_steps")
_LIBRARIES = ("lit-precompute", "jax", "flax")
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
    assert set(card) == _KEYS, sorted(set(card) ^ _KEYS)
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
      TunedModelError: it is not JSON, of a newer version, or has unknown or missing keys.
    """
    path = folder / CARD_NAME
    try:
        card: Any = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TunedModelError(f"{path}: not JSON ({error}); copy the model again from where it came from") from error
    if not isinstance(card, dict):
        raise TunedModelError(f"{path}: must hold a JSON object, got {type(card).__name__}")
    version = card.get("format_version")
    if version not in (1, FORMAT_VERSION):
        raise TunedModelError(
            f"{path}: format_version is {version!r}, this library reads up to {FORMAT_VERSION}; update lit-precompute"
        )
    if set(card) != _KEYS:
        unknown, missing = sorted(set(card) - _KEYS), sorted(_KEYS - set(card))
        raise TunedModelError(f"{path}: unknown keys {unknown}, missing keys {missing}")
    if not isinstance(card["scale"], float) or not 0 < card["scale"] < math.inf:
        raise TunedModelError(f"{path}: scale must be a number > 0, got {card['scale']!r}")
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
    """Returns the arrays of the image side and those of the text tower, under the names that the file gives them."""
    arrays = safetensors.numpy.load_file(folder / PARAMETERS_NAME)
    image, text = (
        {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        for prefix in ("img/", "txt/")
    )
    return image, text


def check_files(folder: pathlib.Path, card: Mapping[str, Any]) -> None:
    """Raises TunedModelError if a file is missing or has changed since it was saved, or is outside the folder."""
    advice = "copy the model again from where it came from"
    for name, info in _listed_files(folder / CARD_NAME, card["files"]).items():
        path = folder / name
        if not path.is_file():
            raise TunedModelError(f"{path}: missing; {advice}")
        if path.stat().st_size != info["bytes"]:
            raise TunedModelError(f"{path}: must have {info['bytes']:,} bytes, got {path.stat().st_size:,}; {advice}")
        found = file_sha256(path)
        if found != info["sha256"]:
            raise TunedModelError(f"{path}: SHA-256 must be {info['sha256']}, got {found}; {advice}")


def _listed_files(card: pathlib.Path, files: Any) -> dict[str, dict[str, Any]]:
    """Returns the card's list of files, by their names in the folder, checked."""
    if not isinstance(files, dict):
        raise TunedModelError(f"{card}: files must be a JSON object, got {files!r}")
    for name, info in files.items():
        path = pathlib.PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
            raise TunedModelError(f"{card}: files must be in the model's folder, got {name!r}")
        types = {key: type(value) for key, value in info.items()} if isinstance(info, dict) else {}
        if types != {"bytes": int, "sha256": str}:
            raise TunedModelError(f"{card}: files.{name} must be its bytes and sha256, got {info!r}")
    for name in (PARAMETERS_NAME, f"{TOKENIZER_FOLDER}/{DESCRIPTION_NAME}"):
        if name not in files:
            raise TunedModelError(f"{card}: files must list {name}, got {sorted(files)}")
    return files
