"""Compressed tars as streams of the tar's bytes.

Promises: those of `decompression`. Going backwards begins anew, which is as slow as it sounds.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from lit_precompute.precompute.sources.decompression import (
    CHUNK_BYTES,
    COMPRESSIONS,
    CountedFile,
    Readable,
    decompressed,
)
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.webdataset.forward_stream import ForwardStream


class Decompressed(ForwardStream):
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
        if compression not in COMPRESSIONS:
            raise SourceError(
                f"{path}: compressed with {compression}, which is not read: decompress it to a plain .tar, or write it "
                f"with {' or '.join(COMPRESSIONS)}"
            )
        self._stream, self._compression, self._path = stream, compression, path
        self._inner: Readable | None = None
        # Headers of tars are short: what is decompressed at once for them.
        self._ahead, self._used = b"", 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position, forwards by reading; stops at the end."""
        assert whence == os.SEEK_SET, "the length is not known"
        if offset < self._position:
            self._inner, self._position = None, 0
        while self._position < offset and (data := self._next(offset - self._position)):
            self._position += len(data)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Returns up to `size` bytes; fewer only at the end.

        Raises:
          SourceError: the compressed data is damaged or ends too early.
        """
        return self._gather(sys.maxsize if size < 0 else size)

    def _next(self, size: int) -> bytes:
        if self._inner is None:
            self._stream.seek(0)
            self._inner = decompressed(CountedFile(self._stream), self._path, self._compression)
            self._ahead, self._used = b"", 0
        if self._used == len(self._ahead):
            self._ahead, self._used = self._inner.read(CHUNK_BYTES), 0
        data = self._ahead[self._used : self._used + size]
        self._used += len(data)
        return data
