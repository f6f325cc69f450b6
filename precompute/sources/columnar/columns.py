"""Columns of an Arrow schema by name, and what a column's type can be used for.

Promises: a name with dots is a column of that name first, then a field of a struct, also within lists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal

import pyarrow as pa
from pyarrow import types

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import short

ImageKind = Literal["bytes", "path", "struct", "beside", "none"]
_MAX_LISTED = 40


@dataclasses.dataclass(frozen=True)
class Column:
    """A column, or a field of a struct in one.

    Attributes:
      name: as the user writes it.
      top: the column of the file that has it.
      steps: the fields below that column, from the outside in.
      type: of its values, without dictionaries and extensions.
      is_list: whether a row has a list of them.
      read: the name by which it is read: that of the column, or of the field where no list is in between.
    """

    name: str
    top: str
    steps: tuple[str, ...]
    type: pa.DataType
    is_list: bool
    read: str


def find_column(schema: pa.Schema, name: str, where: str) -> Column | None:
    """Returns the column of a name, if there is one.

    Raises:
      SourceError: several columns have the name; the message begins with `where`.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        top = ".".join(parts[:length])
        fields = schema.get_all_field_indices(top)
        if len(fields) > 1:
            raise SourceError(f"{where}: column {top!r} occurs {len(fields)} times; column names must differ")
        if fields and (found := _descend(schema.field(fields[0]), tuple(parts[length:]), name)):
            return found
    return None


def _descend(field: pa.Field, steps: tuple[str, ...], name: str) -> Column | None:
    """Returns a field of a column, if it has it and there is at most one list on the way."""
    kind, read, is_list = storage(field.type), field.name, False
    for step in (*steps, None):
        if is_list_type(kind):
            if is_list:
                return None
            is_list, kind = True, storage(kind.value_type)
        if step is None:
            break
        if not types.is_struct(kind) or len(kind.get_all_field_indices(step)) != 1:
            return None
        kind = storage(kind.field(step).type)
        read = read if is_list else f"{read}.{step}"
    return Column(name, field.name, steps, kind, is_list, read)


def storage(kind: pa.DataType) -> pa.DataType:
    """Returns a type without the dictionary or extension around it."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def has_dictionary(kind: pa.DataType) -> bool:
    """Returns whether there is a dictionary in a type, at any depth."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return types.is_dictionary(kind) or any(has_dictionary(kind.field(index).type) for index in range(kind.num_fields))


def is_list_type(kind: pa.DataType) -> bool:
    """Returns whether values are lists of any kind; a map is none."""
    checks = (
        types.is_list,
        types.is_large_list,
        types.is_fixed_size_list,
        types.is_list_view,
        types.is_large_list_view,
    )
    return any(check(kind) for check in checks)


def is_bytes(kind: pa.DataType) -> bool:
    """Returns whether values are byte strings."""
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def is_string(kind: pa.DataType) -> bool:
    """Returns whether values are declared as text."""
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def is_text(kind: pa.DataType) -> bool:
    """Returns whether values can be texts: older programs declare no strings, only bytes."""
    return is_string(kind) or is_bytes(kind) or types.is_null(kind)


def is_label(kind: pa.DataType) -> bool:
    """Returns whether values can be labels."""
    return (
        is_text(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)  # databases write whole numbers so
    )


def is_key(kind: pa.DataType) -> bool:
    """Returns whether values can be keys."""
    return is_text(kind) or types.is_integer(kind)


def image_kind(kind: pa.DataType) -> ImageKind | None:
    """Returns how values hold an image: its bytes, its path, or a struct of both as Hugging Face writes it; or None."""
    if is_bytes(kind) or types.is_null(kind):
        return "bytes"
    if is_string(kind):
        return "path"
    if types.is_struct(kind):
        fields = {field.name: storage(field.type) for field in kind}
        has_bytes = "bytes" in fields and (is_bytes(fields["bytes"]) or types.is_null(fields["bytes"]))
        has_path = "path" in fields and (is_string(fields["path"]) or types.is_null(fields["path"]))
        if has_bytes and (has_path or "path" not in fields):
            return "struct"
    return None


def is_array(column: Column) -> bool:
    """Returns whether values are numbers in lists: pixels rather than an encoded image."""
    kind = column.type
    while is_list_type(kind):
        kind = storage(kind.value_type)
    return (column.is_list or kind != column.type) and (types.is_integer(kind) or types.is_floating(kind))


def check_names(kinds: Iterable[pa.Field]) -> None:
    """Checks the names in a schema, which the library decodes when they are first used.

    Raises:
      UnicodeDecodeError: one is not UTF-8.
    """
    for field in kinds:
        assert isinstance(field.name, str)
        kind = storage(field.type)
        check_names(kind.field(index) for index in range(kind.num_fields))


def listed_types(schema: pa.Schema) -> str:
    """Returns the columns with their types for a message."""
    fields: Iterable[pa.Field] = schema
    words = [f"{short(field.name)} ({short_type(field.type)})" for field in fields]
    more = f", and {len(words) - _MAX_LISTED} more" if len(words) > _MAX_LISTED else ""
    return ", ".join(words[:_MAX_LISTED]) + more or "none"


def short_type(kind: pa.DataType) -> str:
    """Returns a type for a message."""
    text = " ".join(str(kind).split())
    return text if len(text) <= 60 else text[:57] + "..."


def image_columns(schema: pa.Schema) -> Iterator[str]:
    """Yields the names of the columns that can hold encoded images; not those of paths."""
    for field in schema:
        kind = storage(field.type)
        kind = storage(kind.value_type) if is_list_type(kind) else kind
        if image_kind(kind) in ("bytes", "struct") and not types.is_null(kind):
            yield field.name
