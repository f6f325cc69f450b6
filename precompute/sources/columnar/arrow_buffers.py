"""Which of a record batch's buffers belong to which column.

Source: the Arrow format's "Columnar Format": a batch has the buffers of its columns one after the other, of a column
with children its own first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyarrow import types


def buffers_of(schema: pa.Schema, columns: set[str], num_variadic: Sequence[int]) -> list[int] | None:
    """Returns the numbers of the columns' buffers in a batch; None if they cannot be told.

    Args:
      schema: of the file.
      columns: names of columns.
      num_variadic: see `Message`.
    """
    variadic = iter(num_variadic)
    wanted: list[int] = []
    position = 0
    for field in schema:
        try:
            count = sum(_counts(field.type, variadic))
        except NotImplementedError:
            return None
        if field.name in columns:
            wanted += range(position, position + count)
        position += count
    return wanted


def _counts(kind: pa.DataType, variadic: Iterator[int]) -> Iterator[int]:
    """Yields how many buffers a type has, and its children."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if types.is_null(kind):
        return
    if types.is_run_end_encoded(kind) or types.is_union(kind):
        raise NotImplementedError(str(kind))
    if types.is_binary_view(kind) or types.is_string_view(kind):
        yield 2 + _next_of(variadic)
    elif (
        types.is_binary(kind)
        or types.is_string(kind)
        or types.is_large_binary(kind)
        or types.is_large_string(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    ):
        yield 3
    elif types.is_struct(kind) or types.is_fixed_size_list(kind):
        yield 1
    else:  # numbers, dictionaries' indices, lists' offsets
        yield 2
    for child in _children(kind):
        yield from _counts(child, variadic)


def _next_of(variadic: Iterator[int]) -> int:
    """Returns the next number.

    Raises:
      NotImplementedError: there is none.
    """
    count = next(variadic, None)
    if count is None or count < 0:
        raise NotImplementedError("views without a number of buffers")
    return count


def _children(kind: pa.DataType) -> Iterator[pa.DataType]:
    """Yields the types of a type's children; a dictionary's values are in messages of their own."""
    for index in range(kind.num_fields):
        yield kind.field(index).type
