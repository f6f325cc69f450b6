"""The bytes of a tar's members, by position.

Promises: members are read by several threads at once. Errors of the tar itself are raised unchanged: they are not about
one image.

Not here: reading a tar from the beginning to the end (`passing`).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol, cast

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.reading import LargeFileError, ReadImage
from lit_precompute.precompute.sources.files import Opener
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.webdataset.ranges import OpenedFile, RangeStream, store_fetch
from lit_precompute.precompute.sources.webdataset.tar_links import find_targets
from lit_precompute.precompute.sources.webdataset.tar_members import Member, member_at, shown

_COPY_BYTES = 1 << 20


class MemberFile(Protocol):
    """A tar whose members are read by position; picklable."""

    path: str

    def read(self, member: Member, max_bytes: int | None = None) -> bytes:
        """Returns a member's bytes.

        Raises:
          ImageError: "missing", a link that leads to no file; "unreadable", another fault of the member.
          LargeFileError: there are more than `max_bytes`.
          SourceError: the tar has changed.
        """
        ...

    def reader(self, member: Member) -> ReadImage:
        """Returns what reads a member on request.

        Raises:
          ImageError: as `read` does.
        """
        ...


def check_member(member: Member, max_bytes: int | None = None) -> None:
    """Raises what `MemberFile.read` raises before it reads."""
    if member.fault:
        raise ImageError("missing" if member.is_link else "unreadable", f"{shown(member.name)}: {member.fault}")
    if max_bytes is not None and member.size > max_bytes:
        raise LargeFileError(member.name)


class Kept(Protocol):
    """Bytes that are kept as long as they are referred to."""

    data: bytes


def whole(data: bytes, member: Member, path: str) -> bytes:
    """Returns a member's bytes.

    Raises:
      SourceError: there are fewer than its header says.
    """
    if len(data) != member.size:
        raise SourceError(f"{path}: {member.name!r} had {member.size} bytes and has {len(data)} now; the tar changed")
    return data


class SharedFile:
    """A tar that several threads read: opened at first use, closed with the last row that refers to it.

    Rows of one tar that are unpickled in another process share it there too.
    """

    def __init__(self, opener: Opener, path: str):
        self.path = path
        self._opener = opener
        self._fetch = store_fetch(opener, path) or OpenedFile(opener, path).fetch
        self._identity = uuid.uuid4().hex

    def read(self, member: Member, max_bytes: int | None = None) -> bytes:
        """See `MemberFile.read`."""
        check_member(member, max_bytes)
        return whole(self._fetch(member.data, member.data + member.size), member, self.path)

    def reader(self, member: Member) -> ReadImage:
        """See `MemberFile.reader`."""
        check_member(member)
        return functools.partial(self.read, member)

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared_again, (self._opener, self.path, self._identity)


@functools.lru_cache(maxsize=2)  # rows of two units may be in progress
def _shared_again(opener: Opener, path: str, identity: str) -> SharedFile:
    del identity  # part of the cache's key: the path may be that of another file by now
    return SharedFile(opener, path)


class UnpackedFile:
    """A compressed tar that is unpacked to a nameless file of this machine when a member is read by position.

    That is for what a stream cannot give: links, and more bytes than may be kept. Nothing is left behind if the process
    is killed.
    """

    def __init__(self, path: str, opener: Callable[[], AbstractContextManager[BinaryIO]]):
        """Unpacks nothing yet.

        Args:
          path: of the tar.
          opener: opens the tar as a stream of its decompressed bytes.
        """
        self.path = path
        self._opener = opener
        self._lock = threading.Lock()
        self._opened: tuple[OpenedFile, int] | None = None

    def read(self, member: Member, max_bytes: int | None = None) -> bytes:
        """See `MemberFile.read`."""
        check_member(member, max_bytes)
        return whole(self._unpacked()[0].fetch(member.data, member.data + member.size), member, self.path)

    def reader(self, member: Member) -> ReadImage:
        """See `MemberFile.reader`."""
        check_member(member)
        self._unpacked()
        return GivenImage(None, member, self)

    def find_targets(self) -> dict[int, Member]:
        """Returns the files that its links lead to; see `tar_links.find_targets`."""
        opened, num_bytes = self._unpacked()
        with RangeStream(opened.fetch, 0, num_bytes, num_threads=1) as stream:
            return find_targets(cast(BinaryIO, stream), self.path, num_bytes)

    def member_at(self, start: int) -> Member:
        """Returns the member whose header begins at a byte."""
        opened, num_bytes = self._unpacked()
        with RangeStream(opened.fetch, start, num_bytes, num_threads=1) as stream:
            return member_at(cast(BinaryIO, stream), self.path, start)

    def _unpacked(self) -> tuple[OpenedFile, int]:
        """Returns the unpacked tar and its size."""
        with self._lock:
            if self._opened is None:
                unpacked = self._unpack()
                self._opened = OpenedFile(lambda _: unpacked, self.path), unpacked.tell()
            return self._opened

    def _unpack(self) -> BinaryIO:
        unpacked = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 -- closed with the last row that refers to it
        try:
            with self._opener() as stream:
                shutil.copyfileobj(stream, unpacked, _COPY_BYTES)
                unpacked.flush()
        except BaseException as error:
            with contextlib.suppress(OSError):  # writing what is left fails again
                unpacked.close()
            if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            words = (
                f"{error.strerror} in {tempfile.gettempdir()}, where it is unpacked because of its links, or of images "
                "too large to keep in memory: set TMPDIR, or decompress it"
            )
            raise OSError(error.errno, words, self.path) from error
        return unpacked


class GivenImage:
    """Reads an image: bytes that were kept are given away once, since rows outlive their images; then the file's."""

    def __init__(self, kept: Kept | None, member: Member, file: MemberFile):
        self._kept, self._member, self._file = kept, member, file

    def __call__(self, max_bytes: int | None = None) -> bytes:
        """See `ReadImage`."""
        check_member(self._member, max_bytes)
        kept, self._kept = self._kept, None
        return self._file.read(self._member) if kept is None else kept.data

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial, (_give, self._member, self())


def _give(member: Member, data: bytes, max_bytes: int | None = None) -> bytes:
    check_member(member, max_bytes)
    return data
