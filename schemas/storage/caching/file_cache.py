"""Files that are not on this machine, kept here by their SHA-256.

Promises: a file appears under its name when it is whole and has the size and SHA-256 that it must have, or not at all;
of several processes and threads that want one, a single one fetches it; what a killed process has fetched of it is not
fetched again; the same file in two places, or referred to by derived datasets, is kept once. What is removed to make
room breaks no reader: a file stays while it is held, and afterwards for whoever has it open.

    FOLDER/8d/8d96…3e           a file
    FOLDER/8d/8d96…3e.part      what has arrived of one; whoever fetches it has it locked
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from lit_precompute.schemas.storage.caching.held_file import HeldFile
from lit_precompute.schemas.storage.caching.locks import is_still_at, lock, lock_shared, unlock
from lit_precompute.schemas.storage.caching.room import BOUND_VARIABLE, Room, remove_unless_in_use
from lit_precompute.schemas.storage.names import DatasetError
from lit_precompute.schemas.storage.reading import file_sha256
from lit_precompute.schemas.storage.remote_bytes import read_pieces, remote_size

_DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT}
_HASHED_AT_ONCE = 1 << 20
# Between being fetched and being held, a file can be removed by another process with a small bound.
_ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class Content:
    """What a file must be.

    Attributes:
      num_bytes: its size.
      sha256: its hash, in hexadecimal.
      check: is given the size, and what returns the hash, of a file that was fetched, and raises DatasetError unless
        they are right.
    """

    num_bytes: int
    sha256: str
    check: Callable[[int, Callable[[], str]], None]


class FetchingStopped(Exception):  # noqa: N818 -- requested, so not an error
    """What was being fetched is no longer wanted; what has arrived is kept."""


class FileCache:
    """The cache in one folder. Thread-safe."""

    def __init__(self, folder: pathlib.Path):
        """Creates the folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._room = Room(folder)

    @property
    def bound(self) -> int:
        """How many bytes it may hold."""
        return self._room.bound

    def has(self, sha256: str) -> bool:
        """Returns whether a file is here."""
        return self._path(sha256).exists()

    def hold(self, where: str, content: Content, is_stopped: Callable[[], bool] = lambda: False) -> HeldFile:
        """Returns a file, fetched from the URL `where` if it is not here.

        Raises:
          FileNotFoundError: there is no such file there.
          DatasetError: it has other bytes.
          OSError: the store cannot be read (see `schemas.storage`), or this machine's disk is full.
          FetchingStopped: `is_stopped` returned True.
        """
        path = self._path(content.sha256)
        for _ in range(_ATTEMPTS):
            held = self._hold_whole(path, content.num_bytes) or self._fetch(where, path, content, is_stopped)
            if held is not None:
                return held
        raise _removed_again(path)

    def make(self, name: str, num_bytes: int, write: Callable[[pathlib.Path], None]) -> HeldFile:
        """Returns a file that can be made here, by its name in hexadecimal; `write` makes it if it is not here.

        Raises:
          OSError: the cache cannot be written to, or this machine's disk is full.
        """
        path = self._path(name)
        for _ in range(_ATTEMPTS):
            if (held := self._hold_whole(path, num_bytes)) is not None:
                return held
            with _locked_part(path) as number:
                if number is None:
                    continue
                if path.exists():
                    _part_of(path).unlink()
                    continue
                self._room.make(num_bytes)
                write(_part_of(path))
                _part_of(path).rename(path)
        raise _removed_again(path)

    def discard_damaged(self, sha256: str) -> bool:
        """Removes a file if its bytes are not what they were when it was fetched; returns whether it did."""
        path = self._path(sha256)
        try:
            is_damaged = file_sha256(path) != sha256
        except FileNotFoundError:
            return False
        return is_damaged and remove_unless_in_use(path)

    def _path(self, sha256: str) -> pathlib.Path:
        return self._folder / sha256[:2] / sha256

    def _hold_whole(self, path: pathlib.Path, num_bytes: int) -> HeldFile | None:
        try:
            number = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        lock_shared(number)  # a whole file is anybody's own for a moment alone
        if is_still_at(number, path):
            if os.fstat(number).st_size == num_bytes:
                return HeldFile(path, number)
            unlock(number)
            remove_unless_in_use(path)  # damaged
        os.close(number)
        return None

    def _fetch(
        self, where: str, path: pathlib.Path, content: Content, is_stopped: Callable[[], bool]
    ) -> HeldFile | None:
        """Returns the file once it has arrived; None if another has fetched it meanwhile."""
        with _locked_part(path) as number:
            if number is None:
                return None
            part = _part_of(path)
            if path.exists():
                part.unlink()
                return None
            try:
                self._complete(number, where, part, content, is_stopped)
            except (DatasetError, FileNotFoundError):
                part.unlink(missing_ok=True)
                raise
            # Not flushed to the disk: what a power failure damages is found when it is read.
            part.rename(path)
            own = os.dup(number)
        lock_shared(own)
        if is_still_at(own, path):
            return HeldFile(path, own)
        os.close(own)
        return None

    def _complete(
        self, number: int, where: str, part: pathlib.Path, content: Content, is_stopped: Callable[[], bool]
    ) -> None:
        """Fetches what is missing of a part, and checks the whole."""
        if (num_here := os.fstat(number).st_size) > content.num_bytes:
            os.ftruncate(number, num_here := 0)
        try:
            self._append(number, where, part, num_here, content, is_stopped)
        except DatasetError:
            if not num_here:
                raise
            # What was here may be of an object that was replaced, or damaged on this disk.
            os.ftruncate(number, 0)
            self._append(number, where, part, 0, content, is_stopped)

    def _append(
        self,
        number: int,
        where: str,
        part: pathlib.Path,
        start: int,
        content: Content,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._room.make(content.num_bytes - start)
        sha256 = _hash_of(number, start)
        num_bytes = start
        for piece in read_pieces(where, start, content.num_bytes):
            self._write(number, piece, num_bytes, part, content.num_bytes)
            sha256.update(piece)
            num_bytes += len(piece)
            if is_stopped():
                raise FetchingStopped
        if num_bytes > content.num_bytes:
            num_bytes = remote_size(where) or num_bytes
        content.check(num_bytes, sha256.hexdigest)

    def _write(self, number: int, piece: bytes, start: int, part: pathlib.Path, all_bytes: int) -> None:
        """Writes a piece; where the disk is full, what else is in the cache makes room for it, once."""
        try:
            _write_at(number, piece, start)
        except OSError as error:
            if error.errno not in _DISK_IS_FULL:
                raise
            if self._room.free(all_bytes - start):
                with contextlib.suppress(OSError):  # the first error tells more
                    _write_at(number, piece, start)
                    return
            part.unlink()
            raise OSError(error.errno, error.strerror, str(part)) from error


def _removed_again(path: pathlib.Path) -> OSError:
    return OSError(errno.EAGAIN, f"removed again and again by other processes; set {BOUND_VARIABLE} higher", str(path))


@functools.lru_cache(maxsize=8)
def file_cache(folder: pathlib.Path) -> FileCache:
    """Returns the cache in a folder; one object for all of this process."""
    return FileCache(folder)


def _part_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.part")


@contextlib.contextmanager
def _locked_part(path: pathlib.Path) -> Iterator[int | None]:
    """Yields the open part of a file, locked; None if it was completed or removed while this waited for the lock."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = _part_of(path)
    number = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        lock(number)
        yield number if is_still_at(number, part) else None
    finally:
        os.close(number)


def _hash_of(number: int, num_bytes: int) -> Any:
    """Returns the hash of the first bytes of an open file."""
    sha256, start = hashlib.sha256(), 0
    while start < num_bytes and (data := os.pread(number, min(_HASHED_AT_ONCE, num_bytes - start), start)):
        sha256.update(data)
        start += len(data)
    return sha256


def _write_at(number: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(number, view, start)
        view, start = view[written:], start + written
