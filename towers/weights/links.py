"""One array of a file and the parameters in it: cut, transposed and reshaped, in either direction.

Promises: the two directions are inverse to the bit. Not here: which arrays a file has (`naming`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from lit_precompute.towers.weights.stored import StoredArray, shared

Shapes = Mapping[str, tuple[int, ...]]
# By name, as a file has them: any type, any shape.
Arrays = Mapping[str, Shaped[np.ndarray, "..."]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """One array of a file, and the parameters in it.

    Attributes:
      file: name of the array in the file.
      parameters: our names; several where the file joins them in one array.
      axes: the permutation from a part's axes to ours; () for none. Torch's matrices [outputs, inputs] have (1, 0), its
        kernels [outputs, inputs, height, width] have (2, 3, 1, 0).
      part_shape: shape of one part in the file, where it is not our shape with permuted axes (heads in one axis, a 1x1
        kernel that is a matrix here).
      joined: how the file joins its parts: "concatenated" along the first axis, or "stacked" along a new one.
      missing_rows: rows of zeros that the file omits at the start of the second axis.
    """

    file: str
    parameters: tuple[str, ...]
    axes: tuple[int, ...] = ()
    part_shape: tuple[int, ...] | None = None
    joined: Literal["concatenated", "stacked"] = "concatenated"
    missing_rows: int = 0


def link(file: str, *parameters: str, axes: tuple[int, ...] = (), part_shape: tuple[int, ...] | None = None) -> Link:
    """Returns a `Link`; short, for the families' tables."""
    return Link(file=file, parameters=parameters, axes=axes, part_shape=part_shape)


def kernel_link(file: str, parameter: str, shape: tuple[int, ...]) -> Link:
    """Returns the link from torch's kernel [outputs, inputs, height, width] to ours, which has this shape.

    Ours is [height, width, inputs, outputs]; [height, width, features] for a depthwise layer, which has one input for
    each output; [inputs, outputs] for a 1x1 layer. Vectors are the same in both.
    """
    if len(shape) == 1:
        return link(file, parameter)
    if len(shape) == 3:
        torchs = (shape[2], 1, shape[0], shape[1])
    elif len(shape) == 2:
        torchs = (shape[1], shape[0], 1, 1)
    else:
        torchs = (shape[3], shape[2], shape[0], shape[1])
    return link(file, parameter, axes=(2, 3, 1, 0), part_shape=torchs)


def parameters_in(row: Link, array: StoredArray, shapes: Shapes) -> dict[str, StoredArray]:
    """Returns the parameters in an array of a file; under its own name, as it is, where it cannot be cut into them."""
    blanks = _parts(row, array.blank())
    if len(blanks) != len(row.parameters):
        return {row.file: array}
    read = shared(array.read, len(blanks))

    def part(number: int, shape: tuple[int, ...] | None) -> StoredArray:
        turned = _turned(row, blanks[number], shape).shape
        return StoredArray(turned, lambda: _turned(row, _parts(row, read())[number], shape))

    return {name: part(number, shapes.get(name)) for number, name in enumerate(row.parameters)}


def _parts(row: Link, array: np.ndarray) -> Sequence[np.ndarray]:
    count = len(row.parameters)
    if row.joined == "stacked":
        return list(array) if array.ndim else []
    if count == 1:
        return [array]
    return np.split(array, count) if array.ndim and array.shape[0] % count == 0 else []


def _turned(row: Link, part: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    is_as_said = row.part_shape is not None and _long_axes(part.shape) == _long_axes(row.part_shape)
    if row.axes:
        if part.ndim != len(row.axes):
            return part
        part = part.transpose(row.axes)
    if row.missing_rows and part.ndim > 1:
        zeros = np.zeros((part.shape[0], row.missing_rows, *part.shape[2:]), part.dtype)
        return np.concatenate([zeros, part], axis=1)
    if row.part_shape is None or shape is None:
        return part
    if -1 in row.part_shape:
        return part.reshape((1,) * (len(shape) - part.ndim) + part.shape)
    # Not any array of as many values: of one that lies the other way round, a reshape would scramble them.
    return part.reshape(shape) if is_as_said and part.size == math.prod(shape) else part


def _long_axes(shape: Sequence[int]) -> list[int]:
    """Returns the axes that a reshape cannot add or drop."""
    return [length for length in shape if length != 1]


def array_of(row: Link, values: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the array of a file that holds these parameters.

    Raises:
      ValueError: such files cannot represent a value.
    """
    parts = [_turned_back(row, value) for value in values]
    if row.joined == "stacked":
        return np.stack(parts)
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _turned_back(row: Link, value: np.ndarray) -> np.ndarray:
    axes = row.axes
    if row.missing_rows:
        if value[:, : row.missing_rows].any():
            raise ValueError(f"{row.file}: files of this naming leave out its first rows, which are not zero here")
        return value[:, row.missing_rows :]
    if row.part_shape is not None:
        value = value.reshape([row.part_shape[axis] for axis in axes] if axes else row.part_shape)
    return np.ascontiguousarray(value.transpose(np.argsort(axes)) if axes else value)
