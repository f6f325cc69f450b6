"""The towers that have names, and how to load one.

Promises: `load_tower(name, file)` gives a tower with its published preprocessing, checked against the file's
parameters. A new family is one module with a `Family` and one `register` call. Not here: fetching files, and the
networks themselves.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import math
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from precompute.families import efficientnet, vit
from precompute.family import ComputeType, Entry, Family, TowerConfig
from precompute.fingerprint import hash_weights
from precompute.preprocessing import Preprocessing
from precompute.tower import ImageTower
from precompute.weights.matching import match_parameters
from precompute.weights.reading import read_weights

Resize = Literal["published", "square"]


_ENTRIES: dict[str, Entry] = {}


def register(name: str, entry: Entry) -> None:
    """Gives a tower a name; also for packages of others.

    Raises:
      ValueError: the name is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"tower {name!r} is registered already; choose another name")
    _ENTRIES[name] = entry


def tower_names() -> list[str]:
    """Returns the names that `load_tower` knows, sorted."""
    return sorted(_ENTRIES)


def find_tower(name: str) -> Entry:
    """Returns the entry of a name; "module:name" imports a module of the caller's own first, which registers it.

    Raises:
      ValueError: no tower has this name (near ones are listed), or there is no such module.
    """
    module, _, name = name.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(f"tower {module}:{name}: {error}; its folder must be on Python's path") from error
    if name in _ENTRIES:
        return _ENTRIES[name]
    near = difflib.get_close_matches(name, _ENTRIES, n=5, cutoff=0.5) or tower_names()
    raise ValueError(f"unknown tower {name!r}; did you mean one of {', '.join(near)}?")


def load_tower(
    name: str,
    weights: str,
    *,
    resolution: int | None = None,
    pooling: str | None = None,
    resize: Resize = "published",
    compute_type: ComputeType = "float32",
) -> ImageTower:
    """Returns the tower `name` with the parameters of the file `weights`.

    Args:
      name: one of `tower_names()`, or "module:name" of a module that registers it.
      weights: path of a `.npz`, `.safetensors` or torch file; its kind is told by its bytes.
      resolution: side of the pictures in pixels; by default as published. A crop keeps its share of the picture.
      pooling: which values are the embedding; the family's module says which it has.
      resize: "published", or "square": the whole picture squeezed to a square, nothing cut off.
      compute_type: type of the activations. All choices are part of the fingerprint.

    Raises:
      ValueError: no such tower, pooling or resolution.
      WeightsError: the file cannot be read or does not hold this tower's parameters.
    """
    entry = find_tower(name)
    family = entry.family
    if pooling is not None and pooling not in family.poolings:
        raise ValueError(f"tower {name!r}: pooling must be one of {list(family.poolings)}, got {pooling!r}")
    config = dataclasses.replace(
        entry.config,
        resolution=entry.config.resolution if resolution is None else resolution,
        pooling=entry.config.pooling if pooling is None else pooling,
        compute_type=compute_type,
    )
    return _build(
        name.rpartition(":")[2],
        family,
        config,
        preprocessing_at(entry.preprocessing, config.resolution, resize),
        weights,
    )


def _build(
    name: str, family: Family[Any], config: TowerConfig, preprocessing: Preprocessing, weights: str
) -> ImageTower:
    shapes = family.parameter_shapes(config)
    renamed = family.rename(config, read_weights(weights))
    parameters = match_parameters(family.fit(config, renamed), shapes, f"{weights} for {name!r}")
    return ImageTower(
        name=name,
        architecture={"family": family.name, **config.to_json()},
        preprocessing=preprocessing,
        pooling=config.pooling,
        output_width=config.output_width,
        num_parameters=sum(
            math.prod(shape) for parameter, shape in shapes.items() if not family.is_statistic(parameter)
        ),
        weights_sha256=hash_weights({parameter: np.asarray(renamed[parameter], np.float32) for parameter in shapes}),
        parameters=parameters,
        apply=functools.partial(_apply, family, config),
    )


def _apply(
    family: Family[Any], config: TowerConfig, parameters: Mapping[str, jax.Array], images: jax.Array
) -> jax.Array:
    # Accelerators would round float32 products' inputs to fewer bits, so that vectors would depend on the machine.
    with jax.default_matmul_precision("highest" if config.compute_type == "float32" else "default"):
        return family.apply(config, parameters, images)


def preprocessing_at(published: Preprocessing, resolution: int, resize: Resize = "published") -> Preprocessing:
    """Returns the published preprocessing at another resolution: a crop keeps its share of the picture.

    Raises:
      ValueError: `resize` is neither "published" nor "square".
    """
    if resize == "square":
        return dataclasses.replace(published, size=resolution, resize="square", resize_size=resolution, crop="none")
    if resize != "published":
        raise ValueError(f"resize must be 'published' or 'square', got {resize!r}")
    assert published.resize_size is not None
    resize_size = round(published.resize_size * resolution / published.size)
    return dataclasses.replace(published, size=resolution, resize_size=resize_size)


for _module in (efficientnet, vit):
    for _name, _entry in _module.ENTRIES.items():
        register(_name, _entry)
