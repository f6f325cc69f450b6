"""Thrift's compact protocol, as far as Parquet's footers and page headers need it.

Promises: whatever the bytes, values or a `ValueError`; the work is bounded by the number of bytes.

Source: the Thrift specification, "Thrift Compact protocol encoding". A struct becomes a dict by field number.
"""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_MAX_DEPTH = 16


class CompactReader:
    """Reads one struct after the other from bytes; `position` is where the last one ended."""

    def __init__(self, data: bytes, position: int = 0):
        self._data, self.position = data, position

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Returns the next struct.

        Raises:
          ValueError: the bytes end, or are no struct.
        """
        if depth > _MAX_DEPTH:
            raise ValueError("structs nested too deeply")
        values: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            distance, kind = divmod(head, 16)
            field = field + distance if distance else self._integer()
            values[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return values

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_I16, _I32, _I64):
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            count, of = divmod(self._byte(), 16)
            count = self._varint() if count == 15 else count
            self._check(count)  # of each element at least a byte
            return [self._value(of, depth + 1) for _ in range(count)]
        if kind in (_BYTE, _TRUE, _FALSE):
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError(f"a value of unknown type {kind}")  # a map is not in Parquet

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of too many bytes")

    def _byte(self) -> int:
        self._check(1)
        self.position += 1
        return self._data[self.position - 1]

    def _bytes(self, count: int) -> bytes:
        self._check(count)
        self.position += count
        return self._data[self.position - count : self.position]

    def _check(self, count: int) -> None:
        if count > len(self._data) - self.position:
            raise ValueError(f"{count} bytes at {self.position} of {len(self._data)}")
