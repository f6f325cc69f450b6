"""From raw bytes and a file's description of them to an array: the checks that every reader needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped, UInt8

from lit_precompute.towers.weights.errors import WeightsError

_ALIGNMENT = 64
_MAX_AXES = 32  # NumPy allows 64; published parameters have at most 5
_MAX_LENGTH = 1 << 48  # keeps the product of a plausible shape within 64 bits


def check_shape(shape: Sequence[object], where: str) -> tuple[int, ...]:
    """Returns a file's shape as a tuple of whole numbers.

    Raises:
      WeightsError: it has too many axes, or an axis that is not a whole number in [0, 2**48].
    """
    if len(shape) > _MAX_AXES:
        raise WeightsError(f"{where}: must have at most {_MAX_AXES} axes, got {len(shape)}")
    lengths: list[int] = []
    for length in shape:
        if type(length) is not int or not 0 <= length <= _MAX_LENGTH:
            raise WeightsError(f"{where}: a shape has whole numbers >= 0 and <= 2**48, got {str(length)[:40]}")
        lengths.append(length)
    return tuple(lengths)


def as_array(
    values: UInt8[np.ndarray, "num_bytes"], dtype: np.dtype, shape: tuple[int, ...], order: str = "C"
) -> Shaped[np.ndarray, "..."]:
    """Returns bytes, exactly as many as the array needs, as an array, without a copy."""
    assert values.size == math.prod(shape) * dtype.itemsize, (values.size, shape, dtype)
    if not values.size:
        return empty(shape, dtype)
    return values.view(dtype).reshape(shape, order="F" if order == "F" else "C")


def empty(shape: tuple[int, ...], dtype: np.dtype) -> Shaped[np.ndarray, "..."]:
    """Returns an array without elements; NumPy itself refuses long axes next to one of length 0."""
    return np.lib.stride_tricks.as_strided(np.empty(0, dtype), shape, (0,) * len(shape), writeable=False)


def settled(values: Shaped[np.ndarray, "..."], dtype: np.dtype) -> Shaped[np.ndarray, "..."]:
    """Returns `values` as `dtype`, read-only, in memory that JAX uses as it is where the device is a CPU.

    JAX copies an array that does not begin at a multiple of 64 bytes. A part of a larger array stays where it is: all
    of the larger one stays in memory with its other parts.
    """
    is_part = isinstance(values.base, np.ndarray) and values.base.nbytes >= 2 * values.nbytes
    if is_part and values.dtype == dtype and values.flags.c_contiguous:
        return values
    num_bytes = values.size * dtype.itemsize
    memory = np.empty(num_bytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    copied = memory[start : start + num_bytes].view(dtype).reshape(values.shape)
    np.copyto(copied, values, casting="same_kind")
    copied.flags.writeable = False
    return copied
