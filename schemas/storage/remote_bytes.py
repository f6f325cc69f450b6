"""Pieces of a remote file: by one request each from a store, or from whatever else serves files, as well as it can.

Promises: nothing is asked before the first piece; a piece is shorter than asked for only where the file, or what a
stream has, ends; bytes that do not arrive are asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

from lit_precompute.schemas.storage.asking import ask, fetch
from lit_precompute.schemas.storage.drivers import GCS_SCHEMES, S3_SCHEMES, WEB_SCHEMES
from lit_precompute.schemas.storage.file_systems import check_scheme
from lit_precompute.schemas.storage.hub import HUB_SCHEME
from lit_precompute.schemas.storage.retrying import DEFAULT_PATIENCE, Patience

_SKIP_BYTES = 1 << 20
PIECE_BYTES = 8 << 20
STORES = (*GCS_SCHEMES, *S3_SCHEMES, "memory")
_BY_RANGE = (*STORES, HUB_SCHEME)


class RemoteBytes(Protocol):
    """The bytes of one file."""

    def piece(self, start: int, num_bytes: int) -> bytes:
        """Returns bytes from a position on."""
        ...

    def everything(self) -> bytes:
        """Returns the whole file, by one request."""
        ...

    def size(self) -> int | None:
        """Returns the file's size; None if the server does not tell."""
        ...

    def close(self) -> None:
        """Closes what is open; it is opened again when needed."""
        ...


def remote_bytes(url: str, patience: Patience, expected_bytes: int | None = None) -> RemoteBytes:
    """Returns the bytes of the file at a URL, whose scheme is known.

    Args:
      url: the file.
      patience: how long to try.
      expected_bytes: its size, if it is known: a piece that ends there is not asked about.
    """
    if url.partition("://")[0] in _BY_RANGE and "::" not in url:
        return StoredBytes(url, patience, expected_bytes)
    return ServedBytes(url, patience)


def read_pieces(url: str, start: int, expected_bytes: int, *, patience: Patience = DEFAULT_PATIENCE) -> Iterator[bytes]:
    """Yields the bytes of the file at a URL from `start` on, in pieces, to its end.

    A file that is longer than expected is read one byte too far, which shows it.
    """
    check_scheme(url)
    pieces, end = remote_bytes(url, patience, expected_bytes), expected_bytes + 1
    try:
        while start < end:
            stop = end if end - start <= PIECE_BYTES else start + PIECE_BYTES
            data = pieces.piece(start, stop - start)
            if data:
                yield data
            start += len(data)
            if not data or (start == expected_bytes and stop == end):
                return
    finally:
        pieces.close()


def remote_size(url: str, *, patience: Patience = DEFAULT_PATIENCE) -> int | None:
    """Returns the size of the file at a URL; None if the server does not tell."""
    pieces = remote_bytes(url, patience)
    try:
        return pieces.size()
    finally:
        pieces.close()


class StoredBytes:
    """Of an object in a store: every piece is a request of its own, for exactly its bytes."""

    def __init__(self, url: str, patience: Patience, expected_bytes: int | None = None):
        self._url, self._patience, self._expected_bytes = url, patience, expected_bytes
        self._size: int | None = None

    def piece(self, start: int, num_bytes: int) -> bytes:
        """See `RemoteBytes`."""
        stop = start + num_bytes if self._size is None else min(start + num_bytes, self._size)
        if start >= stop:
            return b""
        data = ask(self._url, lambda files, path: self._piece(files, path, start, stop), self._patience)
        if len(data) < stop - start:
            self._size = start + len(data) if data else self._size
        return data

    def everything(self) -> bytes:
        """See `RemoteBytes`."""
        data = ask(self._url, fetch, self._patience)
        self._size = len(data)
        return data

    def size(self) -> int:
        """See `RemoteBytes`."""
        if self._size is None:
            self._size = ask(self._url, lambda files, path: cast(int, files.info(path)["size"]), self._patience)
        return self._size

    def close(self) -> None:
        """See `RemoteBytes`."""

    def _piece(self, files: Any, path: str, start: int, stop: int) -> bytes:
        data = fetch(files, path, start, stop, timeout_s=self._patience.max_part_s)
        if len(data) < stop - start and start + len(data) != self._expected_bytes:  # the end, or less than was sent
            expected = max(min(stop, files.info(path)["size"]) - start, 0)
            if len(data) < expected:
                raise OSError(f"the connection ended after {len(data)} of {expected} bytes")
        return data


class ServedBytes:
    """Of a file that a server sends: the driver keeps it open. What gives no parts is read from its beginning."""

    def __init__(self, url: str, patience: Patience):
        self._url, self._patience = url, patience
        # The reader has its own cache. Other drivers know no such option, or need theirs.
        self._options = {"cache_type": "none"} if url.startswith(WEB_SCHEMES) else {}
        self._file: Any = None
        self._has_parts = True

    def piece(self, start: int, num_bytes: int) -> bytes:
        """See `RemoteBytes`."""
        return ask(self._url, lambda files, path: self._attempt(files, path, start, num_bytes), self._patience)

    def everything(self) -> bytes:
        """See `RemoteBytes`."""
        return ask(self._url, fetch, self._patience)

    def size(self) -> int | None:
        """See `RemoteBytes`."""

        def told(files: Any, path: str) -> int | None:
            if self._file is None:
                self._file = self._open(files, path)
            known: int | None = getattr(self._file, "size", None)
            return known if known is not None else files.size(path)

        return ask(self._url, told, self._patience)

    def close(self) -> None:
        """See `RemoteBytes`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _attempt(self, files: Any, path: str, start: int, num_bytes: int) -> bytes:
        try:
            data: bytes = self._opened_at(files, path, start).read(num_bytes)
            self._check_length(data, start, num_bytes)
        except ValueError:
            if not self._has_parts:
                raise
            self._has_parts = False  # what fsspec says where the server ignores the range that it is asked for
            self.close()
            return self._attempt(files, path, start, num_bytes)
        except BaseException:
            self.close()
            raise
        return data

    def _opened_at(self, files: Any, path: str, position: int) -> Any:
        """Returns the open file, at the position."""
        if self._file is not None and not self._can_seek and self._file.tell() > position:
            self.close()
        if self._file is None:
            self._file = self._open(files, path)
        if self._can_seek:
            self._file.seek(position)
        while (distance := position - self._file.tell()) > 0:
            if not self._file.read(min(distance, _SKIP_BYTES)):
                break
        return self._file

    @property
    def _can_seek(self) -> bool:
        return self._has_parts and getattr(self._file, "size", None) is not None

    def _open(self, files: Any, path: str) -> Any:
        return files.open(path, "rb", **self._options) if self._has_parts else files.open(path, "rb", block_size=0)

    def _check_length(self, data: bytes, start: int, num_bytes: int) -> None:
        """Raises where fewer bytes arrived than the size that the server gave promises."""
        if self._can_seek:
            expected = min(num_bytes, max(self._file.size - start, 0))
            if len(data) < expected:
                raise OSError(f"the connection ended after {len(data)} of {expected} bytes")
