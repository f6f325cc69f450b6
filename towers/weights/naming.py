"""How files name and lay out a family's parameters, declared once, for reading and for writing.

Promises: reading and writing are inverse to the bit, because both follow one list of `Link`s, which only cut, transpose
and reshape arrays. What a naming leaves out is a stated rule (`dropped`); an array that no link and no rule knows keeps
its name, so that `match_parameters` names it.

Not here: the names themselves, which each family has, and opening files (`reading`).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Shaped

from lit_precompute.towers.weights.stored import StoredArray, held, shared

Shapes = Mapping[str, tuple[int, ...]]
# By name, as a file has them: any type, any shape.
Arrays = Mapping[str, Shaped[np.ndarray, "..."]]

# Where big_vision's files keep the parameters when they hold more than them, outermost first: optimiser state of two
# kinds around them, or two towers.
BIG_VISION_ROOTS = ("params/", "opt/target/", "img/", "image/")


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Naming:
    """The names of one kind of file.

    Attributes:
      name: what people call such files; errors show it.
      links: the file's arrays, for one configuration of the family.
      roots: prefixes under which files of this kind keep the parameters, outermost first; each may be absent. Where a
        prefix is present, arrays without it are ignored.
      dropped: regular expressions of whole names (after the roots) that the tower does not use.
      spellings: (regular expression, replacement) for names that some files spell differently from `links`; a name is
        kept where another array already has the replaced one, so that none is lost.
      copies: (a name of `links`, other names of the same array) where the original shares one array between layers:
        the first that a file has stands in for a missing one; those that equal it are ignored, and one that does not
        passes like any other array.
    """

    name: str
    links: Sequence[Link]
    roots: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()
    copies: tuple[tuple[str, tuple[str, ...]], ...] = ()


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


_Array = TypeVar("_Array", bound=np.ndarray | StoredArray)


def inside_root(arrays: Mapping[str, _Array], root: str) -> Mapping[str, _Array]:
    """Returns the arrays whose names begin with `root`, without it."""
    return {name.removeprefix(root): array for name, array in arrays.items() if name.startswith(root)}


def read_names(namings: Sequence[Naming], arrays: Arrays, shapes: Shapes) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns a file's arrays under our names, by the naming that matches most of them.

    Args:
      namings: the kinds of files that the family knows; none means that files have our names.
      arrays: as read from the file.
      shapes: the parameters' shapes; arrays that do not fit pass unchanged, and `match_parameters` names them.
    """
    return {name: stored.read() for name, stored in find_names(namings, held(arrays), shapes).items()}


def find_names(namings: Sequence[Naming], arrays: Mapping[str, StoredArray], shapes: Shapes) -> dict[str, StoredArray]:
    """Returns what `read_names` does, without reading an array, unless the file has several under names of one."""
    if not namings:
        return dict(arrays)
    inside = [_once(naming, _respelt(naming, _inside_roots(naming, arrays))) for naming in namings]
    known = [sum(row.file in found for row in naming.links) for naming, found in zip(namings, inside, strict=True)]
    best = known.index(max(known))
    naming, found = namings[best], inside[best]
    links = {row.file: row for row in naming.links}
    dropped = re.compile("|".join(f"(?:{pattern})" for pattern in naming.dropped) or r"(?!)")
    result: dict[str, StoredArray] = {}
    for name, array in found.items():
        if name in links:
            result |= _read(links[name], array, shapes)
        elif not dropped.fullmatch(name):
            result[name] = array
    return result


def write_names(naming: Naming, parameters: Arrays) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Returns the parameters under a naming's names and in its layout; `read_names` reads them back.

    Raises:
      KeyError: the naming has an array of parameters that are missing.
      ValueError: files of this naming cannot represent a value.
    """
    return {row.file: _write(row, [parameters[name] for name in row.parameters]) for row in naming.links}


def _inside_roots(naming: Naming, arrays: Mapping[str, StoredArray]) -> Mapping[str, StoredArray]:
    for root in naming.roots:
        if any(name.startswith(root) for name in arrays):
            arrays = inside_root(arrays, root)
    return arrays


def _respelt(naming: Naming, arrays: Mapping[str, StoredArray]) -> Mapping[str, StoredArray]:
    if not naming.spellings:
        return arrays
    result: dict[str, StoredArray] = {}
    for name, array in arrays.items():
        usual = name
        for pattern, replacement in naming.spellings:
            usual = re.sub(pattern, replacement, usual)
        taken = usual != name and (usual in arrays or usual in result)
        result[name if taken else usual] = array
    return result


def _once(naming: Naming, arrays: Mapping[str, StoredArray]) -> Mapping[str, StoredArray]:
    """Returns the arrays with each of `naming.copies` under its one name."""
    result = dict(arrays)
    for name, others in naming.copies:
        found = [other for other in others if other in result]
        if name not in result and found:
            result[name] = result[found[0]]
        for other in found:
            if _are_equal(result[other], result[name]):
                del result[other]
    return result


def _are_equal(one: StoredArray, other: StoredArray) -> bool:
    return one is other or (one.shape == other.shape and np.array_equal(one.read(), other.read()))


def _read(row: Link, array: StoredArray, shapes: Shapes) -> dict[str, StoredArray]:
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


def _write(row: Link, values: Sequence[np.ndarray]) -> np.ndarray:
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
