"""NumPy's files of vectors: little-endian floats in rows. Nothing else is read, pickles least of all.

Promises: a header is compared with the file's size before anything is allocated, and nothing of it is evaluated.
"""

from __future__ import annotations

import dataclasses
import io
import os
import struct
from typing import Any, BinaryIO

import numpy as np

from lit_precompute.precompute.images.formats.npy_header import NPY_MAGIC, read_npy_header
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas import VectorType

_TYPES = {"'<f2'": np.dtype("<f2"), "'<f4'": np.dtype("<f4"), "'<f8'": np.dtype("<f8")}
_MAX_HEADER_BYTES = 1 << 16
_MAX_WIDTH = 1 << 20


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Where the vectors of a file are: [num_rows, width] of a type, from a byte on."""

    num_rows: int
    width: int
    type: np.dtype[Any]
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of a vector."""
        return self.width * self.type.itemsize

    @property
    def vector_type(self) -> VectorType:
        """The type that holds them: float16 for float16, else float32."""
        return "float16" if self.type.itemsize == 2 else "float32"


def read_header(stream: BinaryIO, where: str) -> Vectors:
    """Returns what the header of a file says.

    Raises:
      SourceError: it is no NumPy file, damaged, or holds something else than vectors.
    """
    head = stream.read(_MAX_HEADER_BYTES)
    if not head.startswith(NPY_MAGIC):
        raise SourceError(f"{where}: not a NumPy file: it begins with {head[:8]!r}")
    try:
        header = read_npy_header(head)
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise SourceError(f"{where}: a NumPy file whose header cannot be read; copy it again") from error
    if header.descr == "'|O'":
        raise SourceError(f"{where}: holds Python objects, that is a pickle, which may run code: it is not loaded")
    if header.descr not in _TYPES:
        kind = "structured records" if header.descr == "[" else header.descr.strip("'")
        raise SourceError(f"{where}: vectors must be float16, float32 or float64, little-endian; this is {kind}")
    if len(header.shape) != 2:
        raise SourceError(f"{where}: must have the shape (rows, width), got {header.shape}")
    if header.order == "F" and min(header.shape) > 1:
        raise SourceError(f"{where}: is in Fortran's order; save np.ascontiguousarray of it")
    num_rows, width = header.shape
    if not 1 <= width <= _MAX_WIDTH:
        raise SourceError(f"{where}: vectors must have from 1 to {_MAX_WIDTH:,} numbers, got {width:,}")
    return Vectors(num_rows, width, _TYPES[header.descr], header.size)


def check_size(vectors: Vectors, num_bytes: int, where: str) -> None:
    """Raises SourceError unless a file has exactly the bytes that its header claims."""
    expected = vectors.start + vectors.num_rows * vectors.row_bytes
    if num_bytes != expected:
        what = "cut off" if num_bytes < expected else "followed by something else"
        raise SourceError(
            f"{where}: {what}: its header says {vectors.num_rows:,} rows of {vectors.width} {vectors.type.name}, "
            f"{expected:,} bytes, and it has {num_bytes:,}; copy it again"
        )


def look_at(stream: BinaryIO, where: str) -> Vectors:
    """Returns what a file holds, its size checked; leaves the position anywhere."""
    vectors = read_header(stream, where)
    check_size(vectors, stream.seek(0, os.SEEK_END), where)
    return vectors


class VectorStream:
    """The vectors of an open file, from a row on."""

    def __init__(self, stream: BinaryIO, vectors: Vectors, where: str, start: int = 0):
        """Goes to a row.

        Args:
          stream: the file, which the caller closes.
          vectors: where its vectors are.
          where: the file, for errors.
          start: the first row to read.
        """
        stream.seek(vectors.start + start * vectors.row_bytes)
        self._stream, self._vectors, self._where, self._row = stream, vectors, where, start

    def take(self, count: int) -> np.ndarray[Any, Any]:
        """Returns the next rows [count, width], as little-endian numbers of the file's type.

        Raises:
          SourceError: the file ends before.
        """
        data = self._stream.read(count * self._vectors.row_bytes)
        if len(data) != count * self._vectors.row_bytes:
            raise SourceError(
                f"{self._where}: cut off within the rows {self._row} to {self._row + count}; copy it again"
            )
        self._row += count
        return np.frombuffer(data, self._vectors.type).reshape(count, self._vectors.width)


def header_bytes(num_rows: int, width: int, kind: np.dtype[Any]) -> bytes:
    """Returns the header of a file of vectors, in one line of which other readers know where it ends."""
    descr = {"descr": kind.newbyteorder("<").str, "fortran_order": False, "shape": (num_rows, width)}
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(sink, descr)
    return sink.getvalue()
