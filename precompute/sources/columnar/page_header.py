"""The header of a Parquet page, as far as it tells the size of a dictionary before it is read."""

from __future__ import annotations

_DICTIONARY_PAGE = 2
_I32, _STRUCT_END = 5, 0


def dictionary_bytes(header: bytes) -> int:
    """Returns the size of the dictionary that a page header declares; 0 if it is of another page, or unreadable.

    Source: the Parquet format, parquet.thrift (`PageHeader`), in Thrift's compact protocol: each field is a byte of
    (distance from the last field's number, type), then its value.
    """
    values: dict[int, int] = {}
    position = field = 0
    while position < len(header) and header[position] != _STRUCT_END and len(values) < 2:
        distance, kind = divmod(header[position], 16)
        if kind != _I32 or not distance:
            break
        field += distance
        value, position = _integer(header, position + 1)
        values[field] = value
    return values.get(2, 0) if values.get(1) == _DICTIONARY_PAGE else 0


def _integer(data: bytes, position: int) -> tuple[int, int]:
    """Returns a zigzag variable-length integer, and where it ends."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 127) << shift
        shift, position = shift + 7, position + 1
        if byte < 128:
            break
    return (value >> 1) ^ -(value & 1), position
