"""Loads a tower: its weights from a file, matched to its parameters, with the preprocessing that it was published with.

Promises: `load_tower(name, file)` gives a tower that is checked against the file's parameters, or an error that names
every one that does not fit. Not here: which towers there are (`registry`) and fetching files (`weights.reading`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from precompute.family import ComputeType, Family, TowerConfig
from precompute.fingerprint import hash_weights
from precompute.preprocessing import Preprocessing
from precompute.registry import find_tower
from precompute.tower import ImageTower
from precompute.weights.matching import match_parameters
from precompute.weights.naming import read_names
from precompute.weights.reading import read_weights

Resize = Literal["published", "square"]


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
    renamed = read_names(family.namings(config), read_weights(weights), shapes)
    config = family.adapt(config, renamed)
    shapes = family.parameter_shapes(config)
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
        weights_sha256=hash_weights(
            {name: np.asarray(renamed[name], np.float32) for name in shapes if name in renamed}
        ),
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
