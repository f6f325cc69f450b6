"""Reads `.safetensors` files: a JSON header and raw bytes, checked by the safetensors library.

Promises: every array of the file by name, bfloat16 included. Not here: files split over several parts.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import safetensors

from precompute.weights.errors import WeightsError

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


def read_safetensors(data: bytes, where: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a `.safetensors` file's bytes by name; `where` names the file in errors.

    Raises:
      WeightsError: the library refuses the file, or an array is of a type that NumPy does not have.
    """
    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{where}: not a whole .safetensors file ({error}); fetch it again") from error
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise WeightsError(f"{where}: {name!r}: dtype must be one of {sorted(_DTYPES)}, got {entry['dtype']}")
        # The library has checked that the shape fits the bytes.
        arrays[name] = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays
