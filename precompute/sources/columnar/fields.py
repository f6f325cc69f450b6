"""What the columns of a file are, whether or not they are used: for `lit-embed inspect`."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from lit_precompute.precompute.sources.columnar.columns import find_column, short_type, storage
from lit_precompute.precompute.sources.columnar.file import ColumnarFile
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import short

_MAX_COLUMNS = 40


def first_values(opened: ColumnarFile, path: str) -> Mapping[str, str]:
    """Returns the columns, with the values of the first row; of what may be large, such as bytes, the type."""
    names = list(dict.fromkeys(opened.schema.names))[:_MAX_COLUMNS]
    return {name: _first_value(opened, name, path) for name in names}


def _first_value(opened: ColumnarFile, name: str, path: str) -> str:
    kind = short_type(opened.schema.field(opened.schema.get_all_field_indices(name)[0]).type)
    try:
        column = find_column(opened.schema, name, path)
        group = next((group for group in opened.groups(0, None) if group.num_rows), None)
        if column is None or group is None or not _is_small(column.type):
            return kind
        batch = next(opened.batches(group, [column], 0, 1))
        return _shown(batch.column(0)[0].as_py())
    except (SourceError, pa.ArrowException):
        return kind  # what is damaged is said of the rows


def _is_small(kind: pa.DataType) -> bool:
    kind = storage(kind)
    return pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _shown(value: object) -> str:
    if isinstance(value, list):
        value = [_text(each) for each in value]
    value = _text(value)
    return value if isinstance(value, str) and len(value) <= 60 else short(value)


def _text(value: object) -> object:
    """Returns a string; Arrow's are read as bytes, since they may be no UTF-8."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
