"""A remote file that is read like a local one: seekable, and patient with its server.

Promises: nothing is asked of the server before the first read; reading the whole file is one request; bytes that do not
arrive are asked for again from where they ended. Where a server gives no size or serves no parts of files, the file is
read from its beginning up to the position, which is slow for a reader that jumps.
"""

from __future__ import annotations

import errno
import io
import os
from typing import Any, cast

from lit_precompute.schemas.storage.answers import StorageError
from lit_precompute.schemas.storage.file_systems import check_scheme, open_file_system
from lit_precompute.schemas.storage.retrying import Patience, with_patience

_SKIP_BYTES = 1 << 20


class RemoteFile(io.RawIOBase):
    """The raw stream; `io.BufferedReader` adds lines and exact counts."""

    def __init__(self, url: str, patience: Patience):
        """Checks that the URL's file system is installed.

        Raises:
          StorageError: see `check_scheme`.
        """
        check_scheme(url)
        self._url, self._patience = url, patience
        self._position = 0
        self._end: int | None = None  # known once the file was read as a whole
        self._file: Any = None
        self._has_parts = True

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
        """Reads up to the buffer's length; fewer bytes only at the end of the file or of a stream's piece."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Returns everything from the position on; the whole file by one request."""
        if self._position or self._file is not None:
            return self._read(-1)
        data: bytes = with_patience(self._url, self._read_whole, self._patience)
        self._position = self._end = len(data)
        return data

    def close(self) -> None:
        """Closes the file."""
        self._drop()
        super().close()

    def _read_whole(self) -> Any:
        file_system, path = open_file_system(self._url, self._patience.timeout_s)
        return file_system.cat_file(path)

    def _read(self, num_bytes: int) -> bytes:
        if self._end is not None and self._position >= self._end:
            return b""
        data = with_patience(self._url, lambda: self._attempt(num_bytes), self._patience)
        self._position += len(data)
        return data

    def _attempt(self, num_bytes: int) -> bytes:
        try:
            file = self._at_position()
            data: bytes = file.read(num_bytes)
            self._check_length(data, num_bytes)
        except ValueError:
            if not self._has_parts:
                raise
            self._has_parts = False  # what fsspec says where the server ignores the range that it is asked for
            self._drop()
            return self._attempt(num_bytes)
        except BaseException:
            self._drop()
            raise
        return data

    def _at_position(self) -> Any:
        """Returns the open file, at the position."""
        if self._file is not None and not self._can_seek and self._file.tell() > self._position:
            self._drop()
        if self._file is None:
            self._file = self._open()
        if self._can_seek:
            self._file.seek(self._position)
        while (distance := self._position - self._file.tell()) > 0:
            if not self._file.read(min(distance, _SKIP_BYTES)):
                break
        return self._file

    @property
    def _can_seek(self) -> bool:
        return self._has_parts and getattr(self._file, "size", None) is not None

    def _open(self) -> Any:
        file_system, path = open_file_system(self._url, self._patience.timeout_s)
        return file_system.open(path, "rb") if self._has_parts else file_system.open(path, "rb", block_size=0)

    def _check_length(self, data: bytes, num_bytes: int) -> None:
        """Raises where fewer bytes arrived than the size that the server gave promises."""
        if self._can_seek:
            remaining = max(self._file.size - self._position, 0)
            expected = remaining if num_bytes < 0 else min(num_bytes, remaining)
            if len(data) < expected:
                raise OSError(f"the connection ended after {len(data)} of {expected} bytes")

    def _size(self) -> int:
        def ask() -> int | None:
            if self._file is None:
                self._file = self._open()
            if (size := getattr(self._file, "size", None)) is not None:
                return size
            file_system, path = open_file_system(self._url, self._patience.timeout_s)
            return cast("int | None", file_system.size(path))

        size = with_patience(self._url, ask, self._patience)
        if size is None:
            raise StorageError(errno.EIO, "the server does not tell the file's size, which is needed here", self._url)
        return size

    def _drop(self) -> None:
        """Closes what is open; the next read opens the file again."""
        if self._file is not None:
            self._file.close()
            self._file = None
