"""The bytes of a table's text, from a plain file or from one that gzip or zstd compressed.

Promises: memory holds about a megabyte, whatever the compression's ratio. Compressed data that is cut off, damaged or
followed by something else is an error that says where in the file. Several members or frames in a row, which tools for
parallel compression write, are one text.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from lit_precompute.precompute.sources.files import Opener, compression_of, open_first
from lit_precompute.precompute.sources.listing import is_web
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import StorageError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_CHUNK_BYTES = 1 << 18
_FETCH_AGAIN = "fetch or make the file again"


class Readable(Protocol):
    """What `Lines` reads from."""

    def read(self, size: int, /) -> bytes: ...


class HashedFile:
    """A file that is read from its beginning to its end; `num_bytes` and `digest` are those of what has been read."""

    closed = False  # asked by pyarrow

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.num_bytes = 0
        self.digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, b"" at the end."""
        data = self._stream.read(size)
        self.num_bytes += len(data)
        self.digest.update(data)
        return data

    def close(self) -> None:
        """Does nothing: who opened the stream closes it."""


class _Part:
    """The next bytes of a stream, as many as given."""

    def __init__(self, stream: Readable, num_bytes: int):
        self._stream, self._left = stream, num_bytes

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, b"" at the end of the part."""
        data = self._stream.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        return data


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenTable:
    """A table's file, open at its beginning.

    Attributes:
      path: of the file.
      stream: the file.
      compression: "gzip", "zstd", or None.
      file: what has been read of the file.
      text: the table's text from its beginning on, decompressed.
    """

    path: str
    stream: BinaryIO
    compression: str | None
    file: HashedFile
    text: Readable

    def text_from(self, start: int, stop: int) -> Readable:
        """Returns a part of the text, counted in bytes after decompression; `text` must not be read any more."""
        if self.compression is None:
            self.stream.seek(start)
            return io.BytesIO(self.stream.read(stop - start))
        self.stream.seek(0)
        text = _decompressed(HashedFile(self.stream), self.path, self.compression)
        _skip(text, start)
        return _Part(text, stop - start)


@contextlib.contextmanager
def open_table(path: str, opener: Opener) -> Iterator[OpenTable]:
    """Opens a table's file.

    Raises:
      SourceError: it cannot be opened, or is compressed in a way that its name does not say.
    """
    with open_first(path, opener) as stream:
        compression = compression_of(stream.read(8))
        stream.seek(0)
        if compression and compression != named_compression(path):
            workbook = " (an Excel workbook is one, too: save it as CSV with UTF-8)" if compression == "zip" else ""
            raise SourceError(f"{path}: a {compression} file, not a table of text{workbook}; extract the table first")
        file = HashedFile(stream)
        text = _decompressed(file, path, compression)
        yield OpenTable(path=path, stream=stream, compression=compression, file=file, text=text)


def named_compression(path: str) -> str | None:
    """Returns the compression that a file's name ends in, if it is one that is read."""
    name = (path.partition("?")[0] if is_web(path) else path).lower()
    return next((compression for ending, compression in COMPRESSIONS.items() if name.endswith(ending)), None)


def _decompressed(file: HashedFile, path: str, compression: str | None) -> Readable:
    if compression is None:
        return file
    return _Gzip(file, path) if compression == "gzip" else _Zstd(file, path)


def _skip(stream: Readable, num_bytes: int) -> None:
    """Reads over the next bytes, or to the end of the stream if there are fewer."""
    while num_bytes > 0 and (data := stream.read(min(num_bytes, _CHUNK_BYTES))):
        num_bytes -= len(data)


class _Gzip:
    def __init__(self, file: HashedFile, path: str):
        self._file, self._path = file, path
        self._given = b""
        self._member = zlib.decompressobj(wbits=31)

    def read(self, size: int, /) -> bytes:
        while True:
            if self._member.eof and not self._next_member():
                return b""
            given = self._given or self._file.read(_CHUNK_BYTES)
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
            if not (data := self._file.read(_CHUNK_BYTES)):
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
    def __init__(self, file: HashedFile, path: str):
        import pyarrow as pa

        self._file, self._path = file, path
        self._stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except StorageError:
            raise
        except OSError as error:
            if error.errno is not None:  # of the file, not of its contents
                raise
            raise SourceError(
                f"{self._path}: the zstd data is damaged or cut off at about byte {self._file.num_bytes:,} ({error}); "
                f"{_FETCH_AGAIN}"
            ) from error
