"""Members whose bytes are kept as a stream passes them: for tars that are read once, from the beginning to the end.

Promises: the bytes that are kept, of all tars that this process reads, are bounded. A member that is too large, or that
came when too many were kept, is read again by its position. An image is kept until it is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from lit_precompute.precompute.images.reading import ReadImage
from lit_precompute.precompute.sources.webdataset.member_files import GivenImage, MemberFile, check_member, whole
from lit_precompute.precompute.sources.webdataset.tar_members import Member

_MAX_KEPT_BYTES = 256 << 20
_MAX_MEMBER_BYTES = 8 << 20


class _Room:
    """How many bytes may still be kept; thread-safe."""

    def __init__(self, num_bytes: int):
        self._num_bytes, self._lock = num_bytes, threading.Lock()

    def take(self, num_bytes: int) -> bool:
        """Returns whether so many bytes may be kept."""
        with self._lock:
            if num_bytes > self._num_bytes:
                return False
            self._num_bytes -= num_bytes
            return True

    def give_back(self, num_bytes: int) -> None:
        """Gives room back."""
        with self._lock:
            self._num_bytes += num_bytes


_room = _Room(_MAX_KEPT_BYTES)


class PassingFile:
    """A tar whose members are read while a stream passes them; see `MemberFile`."""

    def __init__(self, file: MemberFile, stream: BinaryIO, is_wanted: Callable[[Member], bool]):
        """Keeps nothing yet.

        Args:
          file: reads members by position.
          stream: the tar.
          is_wanted: whether a member is worth keeping.
        """
        self.path = file.path
        self._file, self._stream, self._is_wanted = file, stream, is_wanted
        self._kept: dict[int, _Kept] = {}

    def keeping(self, members: Iterable[Member]) -> Iterator[Member]:
        """Yields members that are being read from the stream, and keeps their bytes."""
        for member in members:
            if member.kind == "file" and not member.fault and self._is_wanted(member):
                self._keep(member)
            yield member

    def forget_before(self, position: int) -> None:
        """Forgets the members before a byte of the tar, but for images that are still to be read."""
        self._kept = {data: kept for data, kept in self._kept.items() if data >= position}

    def read(self, member: Member, max_bytes: int | None = None) -> bytes:
        """See `MemberFile.read`."""
        check_member(member, max_bytes)
        kept = self._kept.get(member.data)
        return self._file.read(member) if kept is None else kept.data

    def reader(self, member: Member) -> ReadImage:
        """See `MemberFile.reader`."""
        check_member(member)
        kept = self._kept.get(member.data)
        return self._file.reader(member) if kept is None else GivenImage(kept, member, self._file)

    def _keep(self, member: Member) -> None:
        if member.size <= _MAX_MEMBER_BYTES and _room.take(member.size):
            self._stream.seek(member.data)
            kept = _Kept(self._stream.read(member.size), member.size)
            whole(kept.data, member, self.path)
            self._kept[member.data] = kept


class _Kept:
    """Bytes that take room as long as they are referred to."""

    def __init__(self, data: bytes, num_bytes: int):
        self.data, self._num_bytes = data, num_bytes

    def __del__(self):
        _room.give_back(self._num_bytes)
