"""Keys in a file of their own: a text with one a line, or NumPy's array of strings.

Promises: keys are read in pieces, from any row on once the file was counted; a pickle is refused.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from lit_precompute.precompute.exchange.rows import BLOCK_ROWS
from lit_precompute.precompute.images.formats.npy_header import NPY_MAGIC, read_npy_header
from lit_precompute.precompute.sources.files import open_first
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import read_key
from lit_precompute.schemas.storage import open_file

_MAX_KEY_BYTES = 1 << 16
_MAX_HEADER_BYTES = 1 << 16
_STRINGS = re.compile(r"'(<U|\|S)(\d{1,5})'")


class KeyFile:
    """A file of keys, counted."""

    def __init__(self, path: str, rows_per_mark: int):
        """Counts the keys, and notes where every `rows_per_mark`-th begins.

        Raises:
          SourceError: it is no file of keys, or cannot be read.
        """
        self.path, self._rows_per_mark = path, rows_per_mark
        self._marks: list[int] = []
        with open_first(path, open_file) as stream:
            self._strings = _strings(stream, path)
            self.num_rows = self._count(stream) if self._strings is None else self._strings[1]

    def read(self, start: int, stop: int) -> Iterator[list[str]]:
        """Yields the keys [start, stop), up to `BLOCK_ROWS` at a time; `start` is a multiple of `rows_per_mark`.

        Raises:
          SourceError: a key is empty, or not text.
        """
        with open_first(self.path, open_file) as stream:
            if self._strings is None:
                stream.seek(self._marks[start // self._rows_per_mark])
            else:
                kind, _, first = self._strings
                stream.seek(first + start * kind.itemsize)
            for row in range(start, stop, BLOCK_ROWS):
                count = min(BLOCK_ROWS, stop - row)
                values = self._lines(stream, count, row) if self._strings is None else self._values(stream, count, row)
                yield [self._key(value, row + place) for place, value in enumerate(values)]

    def _count(self, stream: BinaryIO) -> int:
        stream.seek(0)
        num_rows = 0
        while line := stream.readline(_MAX_KEY_BYTES):
            if num_rows % self._rows_per_mark == 0:
                self._marks.append(stream.tell() - len(line))
            num_rows += 1
            if len(line) == _MAX_KEY_BYTES:
                raise SourceError(
                    f"{self.path}, line {num_rows}: longer than {_MAX_KEY_BYTES:,} bytes: no file of keys"
                )
        return num_rows

    def _lines(self, stream: BinaryIO, count: int, row: int) -> list[str]:
        lines = [stream.readline(_MAX_KEY_BYTES) for _ in range(count)]
        try:
            return [line.decode().removesuffix("\n").removesuffix("\r") for line in lines]
        except UnicodeDecodeError as error:
            raise SourceError(f"{self.path}, after line {row}: not UTF-8 ({error.reason})") from error

    def _values(self, stream: BinaryIO, count: int, row: int) -> Sequence[Any]:
        assert self._strings is not None
        kind = self._strings[0]
        data = stream.read(count * kind.itemsize)
        try:
            values = np.frombuffer(data, kind, count).tolist()
            return [value.decode() if isinstance(value, bytes) else value for value in values]
        except (ValueError, OverflowError, SystemError) as error:
            raise SourceError(f"{self.path}, from row {row} on: no text that can be read; copy it again") from error

    def _key(self, value: str, row: int) -> str:
        def fault(message: str) -> SourceError:
            return SourceError(f"{self.path}, row {row}: {message}")

        return read_key({"key": value}, "key", fault)


def _strings(stream: BinaryIO, path: str) -> tuple[np.dtype[Any], int, int] | None:
    """Returns the type, the number and the place of an array of strings; None for a text.

    Raises:
      SourceError: it is another array, or damaged.
    """
    head = stream.read(_MAX_HEADER_BYTES)
    if not head.startswith(NPY_MAGIC):
        return None
    try:
        header = read_npy_header(head)
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise SourceError(f"{path}: a NumPy file whose header cannot be read; copy it again") from error
    if header.descr == "'|O'":
        raise SourceError(
            f"{path}: holds Python objects, that is a pickle, which may run code: save np.array(keys, str)"
        )
    match = _STRINGS.fullmatch(header.descr)
    if match is None or len(header.shape) != 1 or not int(match[2]):
        raise SourceError(f"{path}: keys must be an array of strings, [rows]; this is {header.descr} {header.shape}")
    kind = np.dtype(match[1] + match[2])
    expected = header.size + header.shape[0] * kind.itemsize
    if (num_bytes := stream.seek(0, os.SEEK_END)) != expected:
        raise SourceError(f"{path}: its header says {expected:,} bytes, and it has {num_bytes:,}; copy it again")
    return kind, header.shape[0], header.size
