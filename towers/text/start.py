"""The parameters that a text tower starts from where it does not start at random: those of a file.

Promises: a file's parameters are this tower's, all of them, or there is an error that names each difference and says
what would fit. A head and an attention pooling that the file lacks are left out, to be drawn.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Float32

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.text.beside import CONFIG_NAME
from lit_precompute.towers.text.entry import TextEntry
from lit_precompute.towers.text.options import TextTowerOptions
from lit_precompute.towers.text.registry import resolve_text_tower
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.fetching import Progress
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.links import Arrays
from lit_precompute.towers.weights.matching import match_parameters
from lit_precompute.towers.weights.naming import inside_root, read_names
from lit_precompute.towers.weights.reading import read_weights

# Of these, a file that was made without them has none.
_HEAD = "head/"
_OPTIONAL = (_HEAD, "pooling/")


def read_start(
    tower: Tower, weights: str, *, draws_head: bool = False, progress: Progress | None = None
) -> dict[str, Float32[np.ndarray, "..."]]:
    """Returns the tower's parameters in the file that `weights` stands for.

    Args:
      tower: as built from the recipe.
      weights: see `resolve_text_tower`, or the place of a file.
      draws_head: whether the file's head is left out, to be drawn.
      progress: called after each fetched piece.

    Raises:
      ValueError: no such tower, or one without weights.
      WeightsError: the file cannot be had or read, or does not hold this tower's parameters.
    """
    name, entry = resolve_text_tower(weights)
    place = name if entry is None else entry.weights
    if not place:
        raise ValueError(f"text_tower.weights: {name!r} is an architecture without published weights; give a file")
    arrays = inside_root(read_weights(find_weights(place, progress=progress)), "" if entry is None else entry.root)
    found = read_names(tower.namings, arrays, tower.parameter_shapes)
    if draws_head:
        found = {name: array for name, array in found.items() if not name.startswith(_HEAD)}
    shapes = {
        name: shape
        for name, shape in tower.parameter_shapes.items()
        if name in found or not name.startswith(_OPTIONAL) or any(_is_beside(name, other) for other in found)
    }
    try:
        return match_parameters(found, shapes, place)
    except WeightsError as error:
        given = "text_tower.weights" if place == weights else f"text_tower.weights {weights!r}"
        raise WeightsError(f"{given}: {error}\n{_advice(tower, name, entry, found)}") from error


def _is_beside(name: str, other: str) -> bool:
    """Returns whether both are of the head, or both of the pooling: a file has all of one or none."""
    return name.partition("/")[0] == other.partition("/")[0]


def _advice(tower: Tower, name: str, entry: TextEntry | None, found: Arrays) -> str:
    """Returns what would fit a file that does not."""
    others = {name: array for name, array in found.items() if not name.startswith(_HEAD)}
    if "head/kernel" in found and {name: array.shape for name, array in others.items()} == {
        name: shape
        for name, shape in tower.parameter_shapes.items()
        if name in others or not name.startswith(_OPTIONAL)
    }:
        width = found["head/kernel"].shape[-1]
        return (
            f"All but its head fits, which gives embeddings of width {width}, while the image side's have "
            f"{tower.output_width}: give --text-tower.head-start random, which draws a head and takes all else from "
            f"the file; or --image-side.head-width {width}, which keeps the file's head."
        )
    if entry is not None:
        return f"{name} is {_described(entry.options)}: leave out the flags of the text tower that say otherwise."
    folder = pathlib.Path(name).parent
    if (folder / CONFIG_NAME).is_file():
        _, beside = resolve_text_tower(str(folder))
        assert beside is not None
        return f"The {CONFIG_NAME} beside it says {_described(beside.options)}: give the folder, {folder}."
    return "A file alone does not say what it is: give the kind and the sizes of its tower (--text-tower.kind ...)."


def _described(options: TextTowerOptions) -> str:
    """Returns the kind and what is not as the kind's default, in words."""
    return ", ".join(
        f"{field.name} {value}"
        for field in dataclasses.fields(options)
        if (value := getattr(options, field.name)) != field.default or field.name in ("kind", "width", "depth")
    )
