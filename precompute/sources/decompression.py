"""The bytes that gzip or zstd compressed, read from the beginning to the end.

Promises: memory holds about a megabyte, whatever the compression's ratio. Compressed data that is cut off, damaged or
followed by something else is an error that says where in the file, never a shorter text or tar; errors of the store are
raised unchanged. Several members or frames in a row, which tools for parallel compression write, are one.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO, Protocol

from lit_precompute.precompute.sources.files import compression_of
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import StorageError

COMPRESSIONS = ("gzip", "zstd")
CHUNK_BYTES = 1 << 16
_FETCH_AGAIN = "fetch or make the file again"


class Readable(Protocol):
    """What is read forwards."""

    def read(self, size: int, /) -> bytes:
        """Returns some of the next bytes, b"" at the end."""
        ...


class CountedFile:
    """A file that is read from its beginning to its end; `num_bytes` is how much has been read."""

    closed = False  # asked by pyarrow

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.num_bytes = 0

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, b"" at the end."""
        data = self._stream.read(size)
        self.num_bytes += len(data)
        return data

    def close(self) -> None:
        """Does nothing: who opened the stream closes it."""


def decompressed(file: CountedFile, path: str, compression: str) -> Readable:
    """Returns the decompressed bytes of a file, whose reading raises `SourceError` where the data is damaged.

    Args:
      file: at its beginning.
      path: of the file, for messages.
      compression: one of `COMPRESSIONS`.
    """
    return _Gzip(file, path) if compression == "gzip" else _Zstd(file, path)


class _Gzip:
    def __init__(self, file: CountedFile, path: str):
        self._file, self._path = file, path
        self._given = b""
        self._member = zlib.decompressobj(wbits=31)

    def read(self, size: int, /) -> bytes:
        while True:
            if self._member.eof and not self._next_member():
                return b""
            given = self._given or self._file.read(CHUNK_BYTES)
            try:
                data = self._member.decompress(given, size)
            except zlib.error as error:
                place = self._file.num_bytes - len(given)
                raise SourceError(
                    f"{self._path}: the gzip data is damaged after byte {place:,} ({error}); {_FETCH_AGAIN}"
                ) from error
            self._given = self._member.unconsumed_tail or self._member.unused_data
            if data:
                return data
            if not given and not self._member.eof:
                raise SourceError(
                    f"{self._path}: the gzip data is cut off, it ends at byte {self._file.num_bytes:,} within a "
                    f"member; {_FETCH_AGAIN}"
                )

    def _next_member(self) -> bool:
        """Begins the next member; returns False at the file's end, before which there may be zeros, as tapes have."""
        self._given = self._given.lstrip(b"\0")
        while len(self._given) < 2:
            if not (data := self._file.read(CHUNK_BYTES)):
                break
            self._given = (self._given + data).lstrip(b"\0")
        if not self._given:
            return False
        if compression_of(self._given) != "gzip":
            place = self._file.num_bytes - len(self._given)
            raise SourceError(
                f"{self._path}: from byte {place:,} on the file is not gzip data, which ends there; {_FETCH_AGAIN}"
            )
        self._member = zlib.decompressobj(wbits=31)
        return True


class _Zstd:
    def __init__(self, file: CountedFile, path: str):
        import pyarrow as pa

        self._file, self._path = file, path
        self._stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        self._errors = (OSError, pa.ArrowException)

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except StorageError:
            raise
        except self._errors as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the file, not of its contents
                raise
            raise SourceError(
                f"{self._path}: the zstd data is damaged or cut off at about byte {self._file.num_bytes:,} ({error}); "
                f"{_FETCH_AGAIN}"
            ) from error
