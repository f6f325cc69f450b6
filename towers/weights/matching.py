"""Checks that named arrays are exactly the parameters that a tower expects.

Promises: one error that names the missing, extra and misshapen parameters (of each kind up to a limit, and how many
more). Not here: renaming (`naming`); arrays that a family drops on purpose never come this far.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Shaped

from lit_precompute.schemas.wording import counted
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.links import Arrays, Shapes

_MAX_LINES = 12


def match_parameters(arrays: Arrays, shapes: Shapes, where: str) -> dict[str, Float32[np.ndarray, "..."]]:
    """Returns `arrays` as contiguous float32, in the order of `shapes`.

    Raises:
      WeightsError: a parameter is missing, is not expected, has another shape, or is not finite throughout.
    """
    match_shapes({name: array.shape for name, array in arrays.items()}, shapes, where)
    return {name: finite_float32(arrays[name], f"{where}: {name}") for name in shapes}


def match_shapes(found: Shapes, shapes: Shapes, where: str) -> None:
    """Checks that a file's parameters have just the names and shapes that a tower expects.

    Raises:
      WeightsError: a parameter is missing, is not expected, or has another shape.
    """
    faults = (
        ("missing", [f"{name} {_shape(shapes[name])}" for name in shapes if name not in found]),
        ("not expected", [f"{name} {_shape(shape)}" for name, shape in found.items() if name not in shapes]),
        (
            "of another shape",
            [
                f"{name}: the file has {_shape(found[name])}, the tower needs {_shape(shape)}"
                for name, shape in shapes.items()
                if name in found and tuple(found[name]) != tuple(shape)
            ],
        ),
    )
    if any(lines for _, lines in faults):
        paragraphs = "\n".join(_paragraph(kind, lines) for kind, lines in faults if lines)
        raise WeightsError(
            f"{where}: not this tower's weights.\n{paragraphs}\nCheck that the tower's name fits the file."
        )


def _paragraph(kind: str, lines: Sequence[str]) -> str:
    shown = [f"  {line}" for line in lines[:_MAX_LINES]]
    if len(lines) > _MAX_LINES:
        shown.append(f"  ... and {len(lines) - _MAX_LINES} more")
    return "\n".join([f"{counted(len(lines), 'parameter')} {kind}:", *shown])


def _shape(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def finite_float32(array: Shaped[np.ndarray, "..."], where: str) -> Float32[np.ndarray, "..."]:
    """Returns an array as contiguous float32.

    Raises:
      WeightsError: its values are whole numbers, as quantised files have them, or not all of them are finite.
    """
    if array.dtype.kind in "iub":
        raise WeightsError(
            f"{where}: values must be floating-point, got {array.dtype}; quantised weights are not read: save the "
            "model in float32, bfloat16 or float16"
        )
    values = np.ascontiguousarray(array, np.float32).reshape(array.shape)
    if not np.isfinite(values).all():
        raise WeightsError(f"{where}: values must be finite, got NaN or infinity; the file is damaged")
    return values
