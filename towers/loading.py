"""Loads a tower: its weights from a file, matched to its parameters, with the preprocessing that it was published with.

Promises: `load_tower(name, file)` gives a tower that is checked against the file's parameters, or an error that names
every one that does not fit; without a file it takes the published one. Not here: which towers there are (`registry`)
and where files are looked for (`weights.finding`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lit_precompute.towers.family import Entry, Family, TowerConfig
from lit_precompute.towers.fingerprint import WeightsHash
from lit_precompute.towers.options import ComputeType, ImageTowerOptions, ResizeMode
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.registry import resolve_tower, tower_names
from lit_precompute.towers.tower import ImageTower
from lit_precompute.towers.weights.fetching import Progress
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.matching import finite_float32, match_shapes
from lit_precompute.towers.weights.naming import find_names
from lit_precompute.towers.weights.reading import open_weights
from lit_precompute.towers.weights.shapes import settled
from lit_precompute.towers.weights.stored import StoredArrays


def load_tower(
    name: str,
    weights: str | None = None,
    *,
    resolution: int | None = ImageTowerOptions.resolution,
    resize: ResizeMode = ImageTowerOptions.resize,
    pooling: str | None = ImageTowerOptions.pooling,
    compute_type: ComputeType = ImageTowerOptions.compute_type,
) -> ImageTower:
    """Returns the tower `name` with the parameters of the file `weights`; `ImageTowerOptions` describes the choices.

    Args:
      name: see `registry.resolve_tower`.
      weights: place of a `.npz`, `.safetensors` or torch file (its bytes decide the kind), or of a folder that
        `save_pretrained` wrote; see `weights.finding`. None: as published.
      resolution: see `ImageTowerOptions`.
      resize: see `ImageTowerOptions`.
      pooling: see `ImageTowerOptions`; the family's module says which it has.
      compute_type: see `ImageTowerOptions`.

    Raises:
      ValueError: no such tower, pooling or resolution, or a tower that has no published weights.
      WeightsError: the file cannot be had or read, or does not hold this tower's parameters.
    """
    choices = ImageTowerOptions(
        name=name, resolution=resolution, resize=resize, pooling=pooling, compute_type=compute_type
    )
    name, entry = configured(choices)
    return _build(name, entry, find_file(name, weights))


def configured(options: ImageTowerOptions) -> tuple[str, Entry]:
    """Returns the registered name of a tower, and its entry at the resolution, pooling and so on that are asked for.

    Raises:
      ValueError: no such tower, pooling or resolution.
    """
    name, entry = resolve_tower(options.name)
    poolings = entry.family.poolings
    if options.pooling is not None and options.pooling not in poolings:
        raise ValueError(f"tower {name!r}: pooling must be one of {list(poolings)}, got {options.pooling!r}")
    config = dataclasses.replace(
        entry.config,
        resolution=entry.config.resolution if options.resolution is None else options.resolution,
        pooling=entry.config.pooling if options.pooling is None else options.pooling,
        compute_type=options.compute_type,
    )
    preprocessing = preprocessing_at(entry.preprocessing, config.resolution, options.resize)
    return name, dataclasses.replace(entry, config=config, preprocessing=preprocessing)


def untrained_tower(options: ImageTowerOptions) -> ImageTower:
    """Returns a tower with random parameters: as fast as with its weights, and of no other use.

    Raises:
      ValueError: no such tower, pooling or resolution.
    """
    name, entry = configured(options)
    family, key = entry.family, jax.random.key(0)
    parameters = {
        parameter: settled(
            np.asarray(family.initialise({parameter: shape}, key)[parameter]), family.kept_type(entry.config, parameter)
        )
        for parameter, shape in family.parameter_shapes(entry.config).items()
    }
    return _tower(name, entry, parameters, weights_sha256="")


def find_preprocessing(options: ImageTowerOptions) -> Preprocessing:
    """Returns how a tower's images are prepared, without its weights.

    Raises:
      ValueError: no such tower or resolution.
    """
    _, entry = resolve_tower(options.name)
    resolution = entry.config.resolution if options.resolution is None else options.resolution
    return preprocessing_at(entry.preprocessing, resolution, options.resize)


def find_file(name: str, weights: str | None = None, *, progress: Progress | None = None) -> str:
    """Returns the path of a tower's weights on this machine; they are fetched where they are elsewhere.

    Args:
      name: see `registry.resolve_tower`.
      weights: their place; None for the published ones.
      progress: called after each fetched piece.

    Raises:
      ValueError: no such tower, or it has no published weights.
      WeightsError: the file cannot be had, or is not the published one.
    """
    name, entry = resolve_tower(name)
    place = weights or entry.weights
    if not place:
        published = [other for other in tower_names() if other.startswith(f"{name}-")]
        hint = f", or take {' or '.join(published)}" if published else ""
        raise ValueError(f"tower {name!r} has no weights of its own; give a file (--weights FILE){hint}")
    # The published hash is that of the published file.
    sha256 = entry.weights_sha256 if place == entry.weights else ""
    return find_weights(place, sha256=sha256, progress=progress)


def _build(name: str, entry: Entry, weights: str) -> ImageTower:
    family, config = entry.family, entry.config
    with open_weights(weights) as arrays:
        renamed = StoredArrays(find_names(family.namings(config), arrays, family.parameter_shapes(config)))
        config = family.adapt(config, renamed)
        parameters, sha256 = _read_parameters(family, config, renamed, f"{weights} for {name!r}")
    return _tower(name, dataclasses.replace(entry, config=config), parameters, sha256)


def _read_parameters(
    family: Family[Any], config: TowerConfig, renamed: StoredArrays, where: str
) -> tuple[dict[str, np.ndarray], str]:
    """Returns the parameters, and the hash of those in the file."""
    shapes = family.parameter_shapes(config)
    fitted = family.fit(config, renamed)
    found = renamed.shapes() | {name: array.shape for name, array in fitted.items() if array is not None}
    match_shapes({name: shape for name, shape in found.items() if fitted.get(name, shape) is not None}, shapes, where)
    sha256 = WeightsHash()

    # A function of its own, so that nothing of an array but what is kept is in memory when the next one is read.
    def read(name: str) -> np.ndarray:
        values = finite_float32(renamed[name], f"{where}: {name}") if name in renamed else None
        if values is not None:
            sha256.add(name, values)
        if (other := fitted.get(name)) is not None:
            values = finite_float32(other, f"{where}: {name}")
        assert values is not None, name  # there, as the shapes are
        return settled(values, family.kept_type(config, name))

    parameters = {name: read(name) for name in sorted(shapes)}
    return {name: parameters[name] for name in shapes}, sha256.hexdigest()


def _tower(name: str, entry: Entry, parameters: Mapping[str, np.ndarray], weights_sha256: str) -> ImageTower:
    family, config = entry.family, entry.config
    shapes = family.parameter_shapes(config)
    return ImageTower(
        name=name,
        architecture={"family": family.name, **config.to_json()},
        preprocessing=entry.preprocessing,
        pooling=config.pooling,
        output_width=config.output_width,
        num_parameters=sum(
            math.prod(shape) for parameter, shape in shapes.items() if not family.is_statistic(parameter)
        ),
        weights_sha256=weights_sha256,
        parameters=parameters,
        apply=family.tower(config).apply,
    )


def preprocessing_at(
    published: Preprocessing, resolution: int, resize: ResizeMode = ImageTowerOptions.resize
) -> Preprocessing:
    """Returns the published preprocessing at another resolution: a crop keeps its share of the image.

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
