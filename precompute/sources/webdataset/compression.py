"""Compressed tars as streams of the tar's bytes.

Promises: data that is damaged or ends too early is an error that says so, never a shorter tar; errors of the store are
raised unchanged. Going backwards begins anew, which is as slow as it sounds.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import pyarrow as pa

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas.storage import StorageError

_SKIP_BYTES = 1 << 20


class _Borrowed:
    """A stream that Arrow does not close when it has finished with it."""

    closed = False

    def __init__(self, stream: BinaryIO):
        self.read = stream.read

    def close(self) -> None:
        """Does nothing."""


def _open_zstd(stream: BinaryIO) -> Any:
    return pa.CompressedInputStream(pa.PythonFile(_Borrowed(stream), mode="r"), "zstd")


_OPEN: dict[str, Callable[[BinaryIO], Any]] = {"gzip": lambda stream: gzip.GzipFile(fileobj=stream), "zstd": _open_zstd}


class Decompressed(io.RawIOBase):
    """The bytes of a compressed file, by their position in what it was made from."""

    def __init__(self, stream: BinaryIO, compression: str, path: str):
        """Reads nothing yet.

        Args:
          stream: the compressed file, seekable.
          compression: its kind, as `compression_of` names it.
          path: of the file, for messages.

        Raises:
          SourceError: there is no decompressor for it.
        """
        if compression not in _OPEN:
            raise SourceError(
                f"{path}: compressed with {compression}, which is not read: decompress it to a plain .tar, or write it "
                f"with {' or '.join(_OPEN)}"
            )
        self._stream, self._compression, self._path = stream, compression, path
        self._position = 0
        self._inner: Any = None

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position, forwards by reading; stops at the end."""
        assert whence == os.SEEK_SET, "the length is not known"
        if offset < self._position:
            self._inner, self._position = None, 0
        while self._position < offset and self.read(min(offset - self._position, _SKIP_BYTES)):
            pass
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Returns up to `size` bytes; fewer only at the end.

        Raises:
          SourceError: the compressed data is damaged or ends too early.
        """
        found: list[bytes] = []
        wanted = size
        while wanted:
            data = self._read(_SKIP_BYTES if wanted < 0 else wanted)
            if not data:
                break
            found.append(data)
            wanted -= len(data) if wanted > 0 else 0
        return found[0] if len(found) == 1 else b"".join(found)

    def _read(self, size: int) -> bytes:
        try:
            if self._inner is None:
                self._stream.seek(0)
                self._inner = _OPEN[self._compression](self._stream)
            data: bytes = self._inner.read(size)
        except StorageError:
            raise
        except (gzip.BadGzipFile, EOFError, zlib.error, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the file, not of what is in it
            raise SourceError(
                f"{self._path}: the {self._compression} data is damaged or truncated after {self._position:,} bytes of "
                f"the tar ({error}); fetch or write it again"
            ) from error
        self._position += len(data)
        return data
