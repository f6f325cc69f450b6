"""A tuned model in the files of other programs: a folder that transformers opens, or big_vision's `.npz`.

    transformers                     big_vision
      config.json                      text_tower.npz       params/txt/..., params/t (log of the scale), params/b (bias)
      model.safetensors
      head.safetensors               what the model there has no place for, under the names used here
      tokenizer.json                 where transformers has such a tokenizer
      tokenizer_config.json
      1_Pooling/config.json          as sentence-transformers says it, where it does
      tokenizer/                       tokenizer/           as lit-precompute saves it
      image_side.safetensors           image_side.safetensors   head and standardisation; only if there are any
      export.json                      export.json          pooling, head, length of rows, scale, image tower

Promises: what was written has been read back and gives the same embeddings to the bit; the folder appears whole.
"""

import dataclasses
import errno
import importlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import safetensors.numpy

from lit_precompute.schemas.claims import refuse_unwritable
from lit_precompute.schemas.storage import open_folder, publish_folder, refuse_url
from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text.registry import make_text_tower
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.towers.tokenizers.exporting import write_tokenizer_json
from lit_precompute.towers.weights.naming import Naming, write_names
from lit_precompute.towers.weights.reading import read_weights
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import TunedModelError

Names = Literal["transformers", "big_vision"]
_UNMASKED = ("vit",)  # kinds that attend to padding
_POOLING_MODES = {"first": "cls_token", "average": "mean_tokens", "max": "max_tokens"}
_MODEL, _HEAD, _ARRAYS = "model.safetensors", "head.safetensors", "text_tower.npz"
_CHECKED_ROWS = 16
_ADVICE = "choose another --output"


class Exported(NamedTuple):
    """What was written.

    Attributes:
      files: their names in the folder, sorted.
      notes: what the other program does not do by itself, in words.
    """

    files: list[str]
    notes: list[str]


def export_model(model: TunedModel, directory: str | os.PathLike[str], names: Names) -> Exported:
    """Writes a tuned model's files for another program.

    Args:
      model: the tuned model.
      directory: the folder; it must not exist, or be empty.
      names: whose files.

    Raises:
      FileExistsError: the folder is not empty.
      TunedModelError: the other program has no such tower, or the model has none; or what was written does not give the
        same embeddings.
      ValueError: the folder is a URL, or cannot be written to.
    """
    refuse_url("export", directory)
    refuse_unwritable(open_folder(directory), _ADVICE)
    if (path := pathlib.Path(directory)).is_dir() and any(path.iterdir()):
        raise FileExistsError(errno.EEXIST, f"is a folder that is not empty; {_ADVICE}", str(path))
    _tokenizer(model)  # before anything is written
    notes: list[str] = []

    def fill(folder: pathlib.Path) -> None:
        notes.extend((_fill_transformers if names == "transformers" else _fill_big_vision)(model, folder))
        _tokenizer(model).save(str(folder / "tokenizer"))
        if side := _image_side(model):
            safetensors.numpy.save_file(side, folder / "image_side.safetensors")
        _write_json(folder / "export.json", _facts(model))
        for path in folder.glob("*.safetensors"):  # the library keeps them from everyone but their owner
            shutil.copymode(folder / "export.json", path)
        _check(model, folder, names)

    publish_folder(directory, fill)
    written = pathlib.Path(directory)
    files = sorted(path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file())
    return Exported(files, notes)


def _fill_transformers(model: TunedModel, folder: pathlib.Path) -> list[str]:
    options: Any = model.recipe.text_tower
    config, is_masked = _config(model), options.kind not in _UNMASKED
    arrays = write_names(_naming(model, "transformers"), model.text_parameters)
    # What a naming has no place for keeps our names.
    beside = {name: arrays.pop(name) for name in model.text_parameters if name in arrays}
    is_whole = "projection_size" in config and options.pooling == "last" and options.head == "linear"
    if is_whole:
        config["projection_size"] = model.output_width
    elif "projection_size" in config:
        # SigLIP's model ends in a linear layer of the last position, whatever ours does: there it changes nothing.
        beside |= {name: np.asarray(value) for name, value in model.text_parameters.items() if name.startswith("head/")}
        arrays |= {
            "head.weight": np.eye(options.width, dtype=np.float32),
            "head.bias": np.zeros(options.width, np.float32),
        }
    _write_json(folder / "config.json", config)
    safetensors.numpy.save_file(arrays, folder / _MODEL, {"format": "pt"})
    notes: list[str] = []
    if beside:
        safetensors.numpy.save_file(beside, folder / _HEAD)
        notes.append(f"transformers has no place for {', '.join(sorted(beside))}: see {_HEAD} and docs/text-towers.md")
    if not is_whole:
        notes.append(
            f"transformers' last_hidden_state is the tower's; pooling ({options.pooling}) and head are yours to add"
        )
        if is_masked and options.pooling in _POOLING_MODES:
            _write_pooling(folder, options.pooling, options.width)
    if not write_tokenizer_json(_tokenizer(model), folder, model.recipe.text.max_tokens, masks_padding=is_masked):
        notes.append("transformers has no such tokenizer: tokenizer/ holds it as lit-precompute saves it")
    return notes


def _tokenizer(model: TunedModel) -> Tokenizer:
    if model.tokenizer is None:
        raise TunedModelError(
            "the model has no text tower to export: it has heads over stored embeddings, which its folder holds as "
            "parameters.safetensors"
        )
    return model.tokenizer


def _write_pooling(folder: pathlib.Path, pooling: str, width: int) -> None:
    """Writes the pooling as sentence-transformers does; `lit-tune --text-tower.weights` reads it, too."""
    modes = {f"pooling_mode_{mode}": name == pooling for name, mode in _POOLING_MODES.items()}
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})


def _fill_big_vision(model: TunedModel, folder: pathlib.Path) -> list[str]:
    naming = _naming(model, "big_vision")
    arrays = {f"params/txt/{name}": value for name, value in write_names(naming, model.text_parameters).items()}
    arrays["params/t"] = np.log(np.array([model.scale], np.float32))
    if model.bias is not None:
        arrays["params/b"] = np.array([model.bias], np.float32)
    np.savez(folder / _ARRAYS, **arrays)  # pyright: ignore[reportArgumentType] -- all are arrays
    return []


def _naming(model: TunedModel, name: Names) -> Naming:
    for naming in model.sides.text.namings:
        if naming.name == name:
            return naming
    known = sorted({naming.name for naming in model.sides.text.namings})
    raise TunedModelError(
        f"{name} has no names for text_tower.kind {model.recipe.text_tower.kind!r}; "
        + (f"files of this kind have those of {', '.join(known)}" if known else "its files have names of its own")
    )


def _config(model: TunedModel) -> dict[str, Any]:
    """Returns transformers' `config.json`."""
    options: Any = model.recipe.text_tower
    if getattr(options, "max_positions", 0) is None:  # as many as a row has tokens
        options = dataclasses.replace(options, max_positions=model.recipe.text.max_tokens)
    module = importlib.import_module(f"lit_precompute.towers.text.{options.kind}.config")
    return module.config_of_options(options, _tokenizer(model).vocabulary)


def _image_side(model: TunedModel) -> dict[str, np.ndarray]:
    side = {name: np.asarray(value) for name, value in model.image_parameters.items()}
    return side | (model.statistics._asdict() if model.statistics is not None else {})


def _facts(model: TunedModel) -> dict[str, Any]:
    """Returns what one needs to know to use the files."""
    tokenizer, options = _tokenizer(model), model.recipe.text_tower
    return {
        "text_tower": dataclasses.asdict(options),
        "max_tokens": model.recipe.text.max_tokens,
        "special_tokens": tokenizer.special_tokens._asdict(),
        "lower_case": tokenizer.lower_case,
        "masks_padding": options.kind not in _UNMASKED and tokenizer.pad_id is not None,
        "output_width": model.output_width,
        "scale": model.scale,
        **({} if model.bias is None else {"bias": model.bias}),
        "image_tower": dict(model.image_tower),
        "tuned_model": model.digest,
    }


def _write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _check(model: TunedModel, folder: pathlib.Path, names: Names) -> None:
    """Raises TunedModelError unless the files, read back, give the model's embeddings to the bit."""
    tower, arrays = model.sides.text, {}
    if names == "transformers":
        tower, arrays = _tower_of(model, folder), read_weights(str(folder / _MODEL))
        if (folder / _HEAD).is_file():
            beside = read_weights(str(folder / _HEAD))
            if "head/kernel" in beside:
                arrays = {name: value for name, value in arrays.items() if not name.startswith("head.")}
            arrays |= beside
    else:
        arrays = read_weights(str(folder / _ARRAYS))
    parameters = tower.read_parameters(arrays, str(folder))
    shape = (_CHECKED_ROWS, model.recipe.text.max_tokens)
    tokens = np.random.default_rng(0).integers(0, _tokenizer(model).vocabulary_size, shape, np.int32)
    expected = jax.jit(model.sides.text.apply)(dict(model.text_parameters), tokens)
    if not np.array_equal(jax.jit(tower.apply)(parameters, tokens), expected):
        raise TunedModelError(f"{folder}: what was written gives other embeddings when it is read back; report this")


def _tower_of(model: TunedModel, folder: pathlib.Path) -> Tower:
    """Returns the tower that the written `config.json` describes, with the model's pooling and head."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    options: Any = model.recipe.text_tower
    module = importlib.import_module(f"lit_precompute.towers.text.{options.kind}.config")
    read = module.options_of_config(config, str(folder / "config.json"))
    return make_text_tower(
        dataclasses.replace(read, pooling=options.pooling, head=options.head),
        vocabulary=_tokenizer(model).vocabulary,
        max_tokens=model.recipe.text.max_tokens,
        output_width=model.output_width,
        compute_type=model.recipe.compute_type,
    )
