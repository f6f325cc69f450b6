"""A remote file that is read like a local one: seekable, patient with its server, and frugal with requests and bytes.

Promises: nothing is asked of the server before the first read; reading the whole file is one request. What is read from
the beginning on is fetched in pieces that grow; a reader that jumps far, as from header to header, fetches little more
than it reads. Where a server gives no size or serves no parts of files, the file is read from its beginning up to the
position, which is slow for a reader that jumps.
"""

from __future__ import annotations

import errno
import io
import os
from typing import Any, BinaryIO, cast

from lit_precompute.schemas.storage.answers import StorageError
from lit_precompute.schemas.storage.file_systems import check_scheme
from lit_precompute.schemas.storage.remote_bytes import remote_bytes
from lit_precompute.schemas.storage.retrying import Patience

# What is jumped over is fetched if it is shorter: a request takes as long as megabytes, but bytes are paid for.
_NEAR_BYTES = 64 << 10
# Fetched beyond what is read after a jump: the headers and words between two images of a tar.
_SPARE_BYTES = 2 << 10
_FIRST_BYTES = 16 << 10
_MAX_BYTES = 8 << 20


def open_remote(url: str, patience: Patience) -> BinaryIO:
    """Returns the file at a URL, open for reading.

    Raises:
      StorageError: see `check_scheme`.
    """
    # Reads of a header come as this many bytes; the raw file has what is fetched ahead.
    return cast(BinaryIO, io.BufferedReader(RemoteFile(url, patience), _SPARE_BYTES))


class RemoteFile(io.RawIOBase):
    """The raw stream; `io.BufferedReader` adds lines and exact counts."""

    def __init__(self, url: str, patience: Patience):
        """Checks that the URL's file system is installed.

        Raises:
          StorageError: see `check_scheme`.
        """
        check_scheme(url)
        self._url, self._bytes = url, remote_bytes(url, patience)
        self._position = self._read_until = 0
        self._ahead, self._ahead_start = memoryview(b""), 0
        self._next_bytes = _FIRST_BYTES // 2
        self._end: int | None = None  # known once the file was read as a whole

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position; asks for the size only to move relative to the end."""
        base = {os.SEEK_SET: lambda: 0, os.SEEK_CUR: self.tell, os.SEEK_END: self._size}[whence]()
        if base + offset < 0:
            raise OSError(errno.EINVAL, f"cannot seek to {base + offset}", self._url)
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Reads up to the buffer's length; fewer bytes only at the end of the file or of what is fetched."""
        place = self._position - self._ahead_start
        if not 0 <= place < len(self._ahead):
            self._fetch(len(buffer))
            place = 0
        data = self._ahead[place : place + len(buffer)]
        buffer[: len(data)] = data
        self._position = self._read_until = self._position + len(data)
        return len(data)

    def readall(self) -> bytes:
        """Returns everything from the position on; the whole file by one request."""
        if self._position or self._ahead_start or self._ahead:
            return b"".join(iter(lambda: self.read(_MAX_BYTES) or b"", b""))
        if self._end is None:
            data = self._bytes.everything()
            self._position = self._end = len(data)
            return data
        return b""

    def close(self) -> None:
        """Closes the file."""
        self._bytes.close()
        self._ahead = memoryview(b"")
        super().close()

    def _fetch(self, wanted: int) -> None:
        """Fetches a piece at the position: more than the last one in a run, little more than is wanted after a jump."""
        if 0 <= self._position - self._read_until <= _NEAR_BYTES:
            self._next_bytes = min(2 * self._next_bytes, _MAX_BYTES)
        else:
            self._next_bytes = 0
        num_bytes = max(wanted + _SPARE_BYTES, self._next_bytes)
        self._next_bytes = max(self._next_bytes, _SPARE_BYTES)
        is_past = self._end is not None and self._position >= self._end
        data = b"" if is_past else self._bytes.piece(self._position, num_bytes)
        self._ahead, self._ahead_start = memoryview(data), self._position

    def _size(self) -> int:
        if self._end is None:
            self._end = self._bytes.size()
        if self._end is None:
            words = "the server does not tell the file's size, which is needed here"
            raise StorageError(errno.EIO, words, self._url)
        return self._end
