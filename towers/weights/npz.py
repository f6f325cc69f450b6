"""Reads `.npz` files, as NumPy and big_vision write them.

Promises: names are the file's ("Transformer/encoderblock_0/..."), and bfloat16, which NumPy stores as an unnamed
two-byte type, is read as bfloat16. Nothing is unpickled: an array of objects is refused, and an array whose header
claims more bytes than the file has is refused before memory is allocated for it.

Not here: mapping names to a tower's parameters (`naming`), and `.npy` files, which hold one unnamed array.
"""

from __future__ import annotations

import io
import math
import tokenize
from typing import NamedTuple

import ml_dtypes
import numpy as np

from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.shapes import as_array, check_shape
from lit_precompute.towers.weights.stored import StoredArray
from lit_precompute.towers.weights.zip_files import ZipMembers

# NumPy itself reads no header of more than 10,000 characters.
_MAX_HEADER_BYTES = 1 << 16


class _Header(NamedTuple):
    """What a member's header says of its array; the array's bytes begin at `start`."""

    start: int
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


def open_npz(members: ZipMembers, where: str) -> dict[str, StoredArray]:
    """Returns the arrays of an `.npz` file by name, read-only; `where` names the file in errors.

    Raises:
      WeightsError: a damaged member, a pickled member, or a header that disagrees with the bytes; also when an array
        is read.
    """
    return {name.removesuffix(".npy"): _stored(members, name, f"{where}: {name!r}") for name in members.names()}


def _stored(members: ZipMembers, name: str, where: str) -> StoredArray:
    if not name.endswith(".npy"):
        raise WeightsError(f"{where}: an .npz file has only .npy members; this is not one")
    header = _read_header(members.read_start(name, _MAX_HEADER_BYTES), where)
    num_bytes, num_held = math.prod(header.shape) * header.dtype.itemsize, members.size(name) - header.start
    if num_bytes != num_held:
        raise WeightsError(
            f"{where}: shape {header.shape} of {header.dtype} needs {num_bytes} bytes, the member holds {num_held}"
        )
    order = "F" if header.fortran_order else "C"
    return StoredArray(
        header.shape, lambda: as_array(members.read(name)[header.start :], header.dtype, header.shape, order)
    )


def _read_header(start: bytes, where: str) -> _Header:
    stream = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise WeightsError(f"{where}: .npy version must be 1.0 or 2.0, got {version[0]}.{version[1]}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
    except WeightsError:
        raise
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError, RecursionError, MemoryError) as error:
        # The last three: brackets that never close, or nest too deep for Python's parser, which reads the header.
        raise WeightsError(f"{where}: its .npy header cannot be read ({error})") from error
    if dtype.hasobject:
        raise WeightsError(f"{where}: holds pickled objects, which are never loaded; save plain arrays instead")
    return _Header(stream.tell(), check_shape(shape, where), fortran_order, _numeric(dtype, where))


def _numeric(dtype: np.dtype, where: str) -> np.dtype:
    if dtype.kind == "V":
        if dtype.itemsize != 2 or dtype.names is not None:
            raise WeightsError(f"{where}: dtype must be numeric (or bfloat16 as two nameless bytes), got {dtype}")
        return np.dtype(ml_dtypes.bfloat16)
    if dtype.kind not in "fiub":
        raise WeightsError(f"{where}: dtype must be numeric, got {dtype}")
    return dtype
