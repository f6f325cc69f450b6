"""Values of Arrow arrays as Python objects.

Promises: a field below a null is null; a value that many rows share through a dictionary is held once, so that a small
file cannot grow to more than its rows' share; a string that is not UTF-8 stays bytes, for the caller to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from lit_precompute.precompute.sources.columnar.columns import Column, is_bytes, is_list_type, is_string


def texts_in(batch: pa.RecordBatch, column: Column, *fields: str) -> list[Any]:
    """Returns the value per row of a column, or of a field of it: strings, None, or lists of them.

    A string that is not UTF-8 stays bytes; values of other types are as Python has them.
    """
    return _values(_top(batch, column), (*column.steps, *fields), as_text=True)


def bytes_in(batch: pa.RecordBatch, column: Column, *fields: str) -> list[Any]:
    """Returns the byte string per row of a column, or of a field of it, None, or lists of them."""
    return _values(_top(batch, column), (*column.steps, *fields), as_text=False)


def _top(batch: pa.RecordBatch, column: Column) -> pa.Array:
    return batch.column(batch.schema.get_field_index(column.top))


def _values(array: pa.Array, steps: Sequence[str], *, as_text: bool) -> list[Any]:
    if isinstance(array, pa.ExtensionArray):
        return _values(array.storage, steps, as_text=as_text)
    if isinstance(array, pa.DictionaryArray):
        shared = _values(array.dictionary, steps, as_text=as_text)
        return [None if index is None else shared[index] for index in array.indices.to_pylist()]
    if is_list_type(array.type):
        return _lists(array, _values(array.flatten(), steps, as_text=as_text))
    if steps and not types.is_null(array.type):
        child = array.flatten()[array.type.get_field_index(steps[0])]  # unlike `field`, null where the struct is
        return _values(child, steps[1:], as_text=as_text)
    return _texts(array) if as_text else array.to_pylist()


def _texts(array: pa.Array) -> list[Any]:
    """Returns values with strings decoded, also where the file declares bytes."""
    if is_string(array.type):
        try:
            return array.to_pylist()
        except UnicodeDecodeError:
            array = array.cast(pa.large_binary())
    values = array.to_pylist()
    return [_decoded(value) for value in values] if is_bytes(array.type) else values


def _lists(array: pa.Array, flat: list[Any]) -> list[Any]:
    """Returns the values of a list array, cut as its lists are."""
    values: list[Any] = []
    start = 0
    for length in pc.call_function("list_value_length", [array]).to_pylist():
        values.append(None if length is None else flat[start : start + length])
        start += length or 0
    return values


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value
