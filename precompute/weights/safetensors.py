"""Reads `.safetensors` files: a JSON header and raw bytes, each array read straight into memory of its own.

Promises: every array of the file by name, bfloat16 included. The arrays must cover the bytes behind the header exactly,
without overlap or hole, as the safetensors library asks; the tests hold this reader to what the library takes and
refuses. Not here: files split over several parts (`folders`).

Source: the format as github.com/huggingface/safetensors describes it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import ml_dtypes
import numpy as np

from precompute.weights.errors import WeightsError
from precompute.weights.file_bytes import FileBytes
from precompute.weights.shapes import as_array, check_shape

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_LENGTH_BYTES = 8
# About 100,000 arrays; the library stops at 100 MB, which would be gigabytes of Python's objects.
_MAX_HEADER_BYTES = 1 << 24
_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}


def read_safetensors(data: FileBytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a `.safetensors` file by name, read-only.

    Raises:
      WeightsError: the header is none, disagrees with the bytes or with itself, or has a type that NumPy does not have.
    """
    header, start = _header(data)
    end = 0
    arrays: dict[str, np.ndarray] = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        where = f"{data.where}: {name!r}"
        dtype, shape, (first, last) = np.dtype(_DTYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        num_bytes = math.prod(shape) * dtype.itemsize
        if last - first != num_bytes:
            raise WeightsError(f"{where}: shape {shape} of {dtype} needs {num_bytes} bytes, got {last - first}")
        if first != end:
            raise WeightsError(f"{where}: must begin at byte {end}, where the array before it ends, got {first}")
        arrays[name] = as_array(data.read_at(start + first, num_bytes), dtype, shape)
        end = last
    if start + end != data.size:
        raise WeightsError(f"{data.where}: its arrays end at byte {start + end} of {data.size}; fetch it again")
    return arrays


def _header(data: FileBytes) -> tuple[dict[str, dict[str, Any]], int]:
    """Returns the arrays' entries, each checked by itself, and where their bytes begin."""
    length = int.from_bytes(data.read_at(0, _LENGTH_BYTES).tobytes(), "little")
    if length > min(_MAX_HEADER_BYTES, data.size - _LENGTH_BYTES):
        raise WeightsError(
            f"{data.where}: not a whole .safetensors file: its header must have at most {_MAX_HEADER_BYTES} bytes and "
            f"fit in the file's {data.size}, got {length}"
        )
    try:
        text = data.read_at(_LENGTH_BYTES, length).tobytes().decode("utf-8")
        header = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{data.where}: its .safetensors header cannot be read ({error}); fetch it again") from error
    if not isinstance(header, dict):
        raise WeightsError(f"{data.where}: its .safetensors header must be an object, got {type(header).__name__}")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError(f"{data.where}: {_METADATA} must hold texts alone")
    return {name: _entry(entry, f"{data.where}: {name!r}") for name, entry in header.items()}, _LENGTH_BYTES + length


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object; two readers could take different ones of two values with one name."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def _entry(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise WeightsError(f"{where}: must have the fields {sorted(_FIELDS)} and no others")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise WeightsError(f"{where}: dtype must be one of {sorted(_DTYPES)}, got {str(dtype)[:40]}")
    if not isinstance(shape, list) or not isinstance(offsets, list):
        raise WeightsError(f"{where}: shape and data_offsets must be lists")
    if len(offsets) != 2 or not all(type(offset) is int and offset >= 0 for offset in offsets):
        raise WeightsError(f"{where}: data_offsets must be two whole numbers >= 0, got {str(offsets)[:80]}")
    return {"dtype": dtype, "shape": check_shape(shape, where), "data_offsets": tuple(offsets)}
