"""Tables of FlatBuffers, read field by field, as far as Arrow's messages need it.

Promises: whatever the bytes, a value or a `ValueError`; no position outside them is read.

Source: the FlatBuffers format: a table begins with the distance back to its vtable, which has the fields' positions.
"""

from __future__ import annotations

import struct


class Table:
    """A table in a buffer."""

    def __init__(self, data: bytes, position: int):
        self._data, self._position = data, position
        self._vtable = position - _unpack("<i", data, position)
        self._num_fields = (_unpack("<H", data, self._vtable) - 4) // 2

    @staticmethod
    def root(data: bytes) -> Table:
        """Returns the table that a buffer is."""
        return Table(data, _unpack("<I", data, 0))

    def number(self, field: int, layout: str) -> int:
        """Returns a number, such as of layout "<q"; 0 if it is left out."""
        position = self._field(field)
        return 0 if position is None else _unpack(layout, self._data, position)

    def table(self, field: int) -> Table | None:
        """Returns a table, if there is one."""
        position = self._field(field)
        return None if position is None else Table(self._data, position + _unpack("<I", self._data, position))

    def structs(self, field: int, layout: str) -> list[tuple[int, ...]]:
        """Returns a vector of structs or numbers, such as of layout "<qq"; empty if it is left out."""
        position = self._field(field)
        if position is None:
            return []
        start = position + _unpack("<I", self._data, position)
        count, size = _unpack("<I", self._data, start), struct.calcsize(layout)
        _check(self._data, start + 4, count * size)
        return list(struct.iter_unpack(layout, self._data[start + 4 : start + 4 + count * size]))

    def _field(self, field: int) -> int | None:
        if field >= self._num_fields:
            return None
        distance = _unpack("<H", self._data, self._vtable + 4 + 2 * field)
        return self._position + distance if distance else None


def _unpack(layout: str, data: bytes, position: int) -> int:
    _check(data, position, struct.calcsize(layout))
    return struct.unpack_from(layout, data, position)[0]


def _check(data: bytes, position: int, size: int) -> None:
    if not 0 <= position <= len(data) - size:
        raise ValueError(f"a position outside the message, {position} of {len(data)}")
