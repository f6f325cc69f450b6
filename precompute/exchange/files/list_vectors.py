"""Vectors in a column of lists, fixed in size or not, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lit_precompute.precompute.exchange.files.tables import TableFile
from lit_precompute.precompute.exchange.rows import Fault, VectorTable
from lit_precompute.precompute.sources.columnar.columns import Column
from lit_precompute.precompute.sources.source import SourceError


def describe_vectors(file: TableFile, column: Column, table: str, tower: str = "") -> VectorTable | None:
    """Returns the vectors of a column; None if no row of the file has one.

    Raises:
      SourceError: the column has no lists of floats.
    """
    kind = _plain(file.schema.field(column.top).type)
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list or column.steps or not types.is_floating(column.type) or column.type != kind.value_type:
        raise SourceError(f"{file.path}: column {column.name!r} must have a list of floats in each row, got {kind}")
    vector_type = "float16" if types.is_float16(column.type) else "float32"
    width = kind.list_size if types.is_fixed_size_list(kind) else _first_length(file, column)
    return VectorTable(name=table, width=width, vector_type=vector_type, tower=tower) if width else None


def read_vectors(batch: pa.RecordBatch, column: Column, width: int) -> tuple[np.ndarray[Any, Any], Mapping[int, Fault]]:
    """Returns the vectors of a batch, and which rows have none, or one of another width; those are zeros."""
    array = _storage(batch.column(batch.schema.get_field_index(column.top)))
    lengths = pc.call_function("list_value_length", [array]).fill_null(0).to_numpy(zero_copy_only=False)
    fits = lengths == width
    items = array.filter(pa.array(fits)).flatten()
    if items.null_count:
        items = items.cast(pa.float32()).fill_null(float("nan"))
    values = np.zeros((len(lengths), width), items.to_numpy(zero_copy_only=False).dtype)
    values[fits] = items.to_numpy(zero_copy_only=False).reshape(-1, width)
    return values, {int(row): _fault(int(lengths[row]), width, column.name) for row in np.flatnonzero(~fits)}


def _fault(length: int, width: int, name: str) -> Fault:
    if not length:
        return Fault("missing", f"{name!r} has no vector")
    return Fault("wrong-width", f"{name!r} has {length} numbers, the others {width}")


def _first_length(file: TableFile, column: Column) -> int:
    for batch in file.batches([column], 0, file.num_rows):
        array = _storage(batch.column(batch.schema.get_field_index(column.top)))
        lengths = pc.call_function("list_value_length", [array]).fill_null(0).to_numpy(zero_copy_only=False)
        if lengths.any():
            return int(lengths[np.flatnonzero(lengths)[0]])
    return 0


def _plain(kind: pa.DataType) -> pa.DataType:
    return _plain(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def _storage(array: pa.Array) -> pa.Array:
    return _storage(array.storage) if isinstance(array, pa.ExtensionArray) else array
