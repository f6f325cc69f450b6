"""Vectors as Arrow columns: float32, float16, and bfloat16 (which Arrow lacks) as uint16.

Promises: reading makes no copy; writing rounds to nearest even and refuses what the type cannot hold.
"""

from collections.abc import Sequence
from typing import Any, Literal

import ml_dtypes
import numpy as np
import pyarrow as pa

from schemas.errors import DatasetError

VectorType = Literal["float32", "float16", "bfloat16"]
VECTOR_TYPES: tuple[VectorType, ...] = ("float32", "float16", "bfloat16")
# The key of a field's metadata that names what its numbers are.
VECTOR_TYPE_KEY = b"vector_type"

_NUMPY_TYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
_ARROW_TYPES: dict[str, pa.DataType] = {"float32": pa.float32(), "float16": pa.float16(), "bfloat16": pa.uint16()}


def numpy_type(vector_type: VectorType) -> np.dtype[Any]:
    """Returns the NumPy type of one number; bfloat16 is ml_dtypes'."""
    return np.dtype(_NUMPY_TYPES[vector_type])


def vector_field(name: str, width: int, vector_type: VectorType) -> pa.Field:
    """Returns the Arrow field of a column of vectors: fixed-size lists, the type named in the metadata."""
    item = pa.field("item", _ARROW_TYPES[vector_type], nullable=False)
    metadata = {VECTOR_TYPE_KEY: vector_type.encode()}
    return pa.field(name, pa.list_(item, width), nullable=False, metadata=metadata)


def to_arrow(vectors: Any, field: pa.Field, keys: Sequence[str]) -> pa.Array:
    """Returns vectors [n, D] as a column of `field`; `keys` name the rows in errors.

    Raises:
      DatasetError: another width, a value that is not finite, or one that the stored type cannot hold.
    """
    values = np.asarray(vectors)
    width = field.type.list_size
    if values.ndim != 2 or values.shape[1] != width:
        raise DatasetError(f"column '{field.name}': vectors must have the shape [n, {width}], got {list(values.shape)}")
    stored_type = numpy_type((field.metadata or {})[VECTOR_TYPE_KEY].decode())
    with np.errstate(over="ignore"):  # what overflows is named below
        stored = np.ascontiguousarray(values.astype(stored_type, copy=False))
    finite = np.isfinite(stored.astype(np.float32, copy=False))
    if not finite.all():
        row, place = np.argwhere(~finite)[0]
        raise DatasetError(
            f"row '{keys[row]}': {field.name}[{place}] = {values[row, place]} is not a finite {stored_type.name}; "
            "embed again with --dtype float32 or bfloat16 if it is only too large"
        )
    flat = stored.reshape(-1)
    items = pa.array(flat.view(np.uint16) if stored_type.name == "bfloat16" else flat)
    return pa.FixedSizeListArray.from_arrays(items, type=field.type)


def to_numpy(column: Any, field: pa.Field) -> np.ndarray[Any, Any]:
    """Returns a column of vectors as [n, D] in its stored type: a read-only view of Arrow's memory."""
    stored_type = numpy_type((field.metadata or {})[VECTOR_TYPE_KEY].decode())
    flat = column.flatten().to_numpy(zero_copy_only=True)
    return flat.view(stored_type).reshape(len(column), column.type.list_size)
