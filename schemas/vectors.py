"""Vectors as Arrow columns: float32, float16, bfloat16 (which Arrow lacks) as uint16, int8 with a scale per row.

Promises: reading makes no copy; writing converts to float32, rounds to nearest even and refuses what the type cannot
represent. The scales of an int8 column `NAME` are a column `NAME_scale` beside it.

int8: scale = max|x| / 127, but at least the smallest normal float32; number = x / scale, rounded to nearest even and
within -127..127; number * scale differs from x by at most half a scale (and a last bit of float32). All arithmetic is
IEEE 754 float32, so that every machine stores the same bytes. A row of zeros reads back as zeros.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import ml_dtypes
import numpy as np
import pyarrow as pa

from lit_precompute.schemas.storage import DatasetError

VectorType = Literal["float32", "float16", "bfloat16", "int8"]
VECTOR_TYPES: tuple[VectorType, ...] = ("float32", "float16", "bfloat16", "int8")
LARGEST = 127
# Below this float32 loses digits, and many devices flush to zero: dividing by such a scale could exceed 127.
SMALLEST_SCALE = np.finfo(np.float32).smallest_normal
# The key of a field's metadata that names its vector type.
VECTOR_TYPE_KEY = b"vector_type"

_NUMPY_TYPES: dict[str, Any] = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "int8": np.int8,
}
_ARROW_TYPES: dict[str, pa.DataType] = {
    "float32": pa.float32(),
    "float16": pa.float16(),
    "bfloat16": pa.uint16(),
    "int8": pa.int8(),
}


class StoredVectors(NamedTuple):
    """Vectors as stored: numbers [n, D], and for int8 float32 scales [n], else None."""

    numbers: np.ndarray[Any, Any]
    scales: np.ndarray[Any, Any] | None

    def row_bytes(self, row: int) -> bytes:
        """Returns the bytes of one row, its scale last."""
        scale = b"" if self.scales is None else self.scales[row].tobytes()
        return self.numbers[row].tobytes() + scale

    def to_float32(self) -> np.ndarray[Any, Any]:
        """Returns the values as float32 [n, D]; not copied if stored as float32."""
        if self.scales is None:
            return self.numbers.astype(np.float32, copy=False)
        return dequantise(self.numbers, self.scales)


def quantise(vectors: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Returns (int8 [n, D], float32 scales [n]) of float32 vectors [n, D]; rows that are not finite give garbage."""
    with np.errstate(invalid="ignore"):
        scales = np.maximum(np.abs(vectors).max(axis=1, initial=0) / np.float32(LARGEST), SMALLEST_SCALE)
        return np.rint(vectors / scales[:, None]).astype(np.int8), scales


def dequantise(numbers: np.ndarray[Any, Any], scales: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns float32 [n, D] of int8 numbers [n, D] and their scales [n]."""
    return numbers.astype(np.float32) * scales[:, None]


def numpy_type(vector_type: VectorType) -> np.dtype[Any]:
    """Returns the NumPy type of one number; bfloat16 is ml_dtypes'."""
    return np.dtype(_NUMPY_TYPES[vector_type])


def scale_column(name: str) -> str:
    """Returns the name of the column that holds the scales of the int8 vectors `name`."""
    return f"{name}_scale"


def vector_field(name: str, width: int, vector_type: VectorType) -> pa.Field:
    """Returns the Arrow field of a column of vectors: fixed-size lists, the type named in the metadata."""
    item = pa.field("item", _ARROW_TYPES[vector_type], nullable=False)
    metadata = {VECTOR_TYPE_KEY: vector_type.encode()}
    return pa.field(name, pa.list_(item, width), nullable=False, metadata=metadata)


def store(vectors: Any, vector_type: VectorType) -> StoredVectors:
    """Returns vectors [n, D] as stored: converted to float32, then rounded. Nothing is checked."""
    values = np.asarray(vectors)
    with np.errstate(over="ignore"):
        if vector_type == "int8":
            return StoredVectors(*quantise(values.astype(np.float32, copy=False)))
        stored_type = numpy_type(vector_type)
        if values.dtype != stored_type:
            values = values.astype(np.float32, copy=False).astype(stored_type, copy=False)
        return StoredVectors(np.ascontiguousarray(values), None)


def storable(vectors: Any, vector_type: VectorType) -> np.ndarray[Any, Any]:
    """Returns for each of the vectors [n, D] whether it is finite and stays so in the stored type, bool [n]."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(vectors).astype(np.float32, copy=False)
        # Rounding keeps the order of values, so that a row fits if its largest does. A NaN is the largest of its row.
        largest = np.abs(values).max(axis=1, initial=0, keepdims=True)
        return np.isfinite(store(largest, vector_type).to_float32()[:, 0])


def why_not_storable(vector: Any, vector_type: VectorType) -> str:
    """Returns in words what keeps a vector [D] from being stored in a type, and which types would hold it."""
    values = np.asarray(vector).astype(np.float64)
    finite = np.abs(values[np.isfinite(values)])
    largest = f"the largest finite one is {finite.max():.6g}" if len(finite) else "none is finite"
    if len(finite) < len(values):
        return f"{len(values) - len(finite)} of {len(values)} numbers are NaN or infinite; {largest}"
    fitting = [name for name in VECTOR_TYPES if storable(values[None], name).all()]
    return f"{largest}, too large for {vector_type}; " + (
        f"these types hold it: {', '.join(fitting)}" if fitting else "no type holds it"
    )


def to_arrow(vectors: Any, field: pa.Field, keys: Sequence[str]) -> dict[str, pa.Array]:
    """Returns vectors [n, D] as the column of `field`, and their scales if the type has them, by name.

    `keys` name the rows in errors.

    Raises:
      DatasetError: the wrong width, or a row that the stored type cannot hold.
    """
    values = np.asarray(vectors)
    width = field.type.list_size
    if values.ndim != 2 or values.shape[1] != width:
        raise DatasetError(f"column '{field.name}': vectors must have the shape [n, {width}], got {list(values.shape)}")
    vector_type = _vector_type(field)
    _check_storable(values, field, keys)
    stored = store(values, vector_type)
    flat = stored.numbers.reshape(-1)
    items = pa.array(flat.view(np.uint16) if vector_type == "bfloat16" else flat)
    arrays = {field.name: pa.FixedSizeListArray.from_arrays(items, type=field.type)}
    if stored.scales is not None:
        arrays[scale_column(field.name)] = pa.array(stored.scales)
    return arrays


def to_numpy(column: Any, field: pa.Field) -> np.ndarray[Any, Any]:
    """Returns a column of vectors as [n, D] in its stored type: a read-only view of Arrow's memory."""
    flat = column.flatten().to_numpy(zero_copy_only=True)
    return flat.view(numpy_type(_vector_type(field))).reshape(len(column), column.type.list_size)


def _vector_type(field: pa.Field) -> Any:
    return (field.metadata or {})[VECTOR_TYPE_KEY].decode()


def _check_storable(values: Any, field: pa.Field, keys: Sequence[str]) -> None:
    """Raises for the first row that the stored type cannot hold."""
    vector_type = _vector_type(field)
    fits = storable(values, vector_type)
    if not fits.all():
        row = int(np.argmin(fits))
        place = int(np.argmax(np.abs(values[row])))  # a NaN counts as the largest
        raise DatasetError(
            f"row '{keys[row]}': {field.name}[{place}] = {values[row, place]} is not a finite {vector_type}: "
            f"{why_not_storable(values[row], vector_type)}"
        )
