"""The bytes of a table's text, from a plain file or from one that gzip or zstd compressed (`decompression`)."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from lit_precompute.precompute.sources.decompression import CHUNK_BYTES, CountedFile, Readable, decompressed
from lit_precompute.precompute.sources.files import Opener, compression_of, open_first
from lit_precompute.precompute.sources.listing import is_web
from lit_precompute.precompute.sources.source import SourceError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# Read of a compressed text to find how much longer than the file it is.
_TRIED_BYTES = 1 << 22


class HashedFile(CountedFile):
    """A file that is read from its beginning to its end; `digest` is that of what has been read."""

    def __init__(self, stream: BinaryIO):
        super().__init__(stream)
        self.digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, b"" at the end."""
        data = super().read(size)
        self.digest.update(data)
        return data


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

    def text_bytes(self, num_read: int, size: int) -> int:
        """Returns how many bytes of text there are, a guess where the file is compressed; reads on in `text`.

        Args:
          num_read: bytes of `text` that have been read.
          size: of the file.
        """
        if self.compression is None:
            return size
        while num_read < _TRIED_BYTES and (data := self.text.read(CHUNK_BYTES)):
            num_read += len(data)
        return round(num_read * max(size / max(self.file.num_bytes, 1), 1))

    def text_from(self, start: int, stop: int) -> Readable:
        """Returns a part of the text, counted in bytes after decompression; `text` must not be read any more."""
        if self.compression is None:
            self.stream.seek(start)
            return io.BytesIO(self.stream.read(stop - start))
        self.stream.seek(0)
        text = _text(HashedFile(self.stream), self.path, self.compression)
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
        text = _text(file, path, compression)
        yield OpenTable(path=path, stream=stream, compression=compression, file=file, text=text)


def named_compression(path: str) -> str | None:
    """Returns the compression that a file's name ends in, if it is one that is read."""
    name = (path.partition("?")[0] if is_web(path) else path).lower()
    return next((compression for ending, compression in COMPRESSIONS.items() if name.endswith(ending)), None)


def _text(file: HashedFile, path: str, compression: str | None) -> Readable:
    return file if compression is None else decompressed(file, path, compression)


def _skip(stream: Readable, num_bytes: int) -> None:
    """Reads over the next bytes, or to the end of the stream if there are fewer."""
    while num_bytes > 0 and (data := stream.read(min(num_bytes, CHUNK_BYTES))):
        num_bytes -= len(data)
