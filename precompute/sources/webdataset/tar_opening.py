"""Opening a tar for one pass: local or remote, plain or compressed, whole or a part of it.

Promises: a local tar is read by position and only where it is needed; of a remote or compressed one, which is read from
the beginning to the end, the members that are wanted are kept as they pass.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, cast

from lit_precompute.precompute.sources.files import Opener, compression_of
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.webdataset.compression import Decompressed
from lit_precompute.precompute.sources.webdataset.member_files import MemberFile, SharedFile, UnpackedFile
from lit_precompute.precompute.sources.webdataset.passing import PassingFile
from lit_precompute.precompute.sources.webdataset.ranges import OpenedFile, RangeStream, store_fetch
from lit_precompute.precompute.sources.webdataset.tar_links import find_targets
from lit_precompute.precompute.sources.webdataset.tar_members import Member, member_at, read_members
from lit_precompute.schemas.storage import StorageError

_MARK_BYTES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenTar:
    """A tar that is open for one pass.

    Attributes:
      shown: its path, as messages name it.
      stream: its bytes; decompressed.
      file: reads its members.
      num_bytes: of the stream; None if only reading tells.
      file_bytes: of the file, if it was asked for.
      compression: of the file; None for none.
      find_targets: returns the files that its links lead to, as `tar_links.find_targets` does.
      member_at: returns the member whose header begins at a byte.
    """

    shown: str
    stream: BinaryIO
    file: MemberFile
    num_bytes: int | None
    file_bytes: int | None
    compression: str | None
    find_targets: Callable[[], Mapping[int, Member]]
    member_at: Callable[[int], Member]

    def members(self, start: int = 0, stop: int | None = None) -> Iterator[Member]:
        """Yields the members in the bytes [start, stop)."""
        members = read_members(self.stream, self.shown, start, stop, num_bytes=self.num_bytes)
        return self.file.keeping(members) if isinstance(self.file, PassingFile) else members

    def forget_before(self, position: int) -> None:
        """Forgets the members before a byte of the tar."""
        if isinstance(self.file, PassingFile):
            self.file.forget_before(position)


def keep_none(member: Member) -> bool:
    """Returns False: no member is kept."""
    return False


@contextlib.contextmanager
def open_tar(
    opener: Opener,
    path: str,
    *,
    start: int = 0,
    stop: int | None = None,
    jumps: bool,
    keeps: Callable[[Member], bool] = keep_none,
) -> Iterator[OpenTar]:
    """Opens a tar.

    Args:
      opener: opens the file.
      path: of the tar.
      start: the byte that is read first; only from 0 on a tar may be compressed.
      stop: the byte after the last one that is read; None for the end.
      jumps: whether most of it will be jumped over.
      keeps: whether a member's bytes are kept as they pass, in a tar that is not read by position.

    Raises:
      SourceError: it cannot be opened, or its compression is not read.
    """
    with _open_file(opener, path, start, stop, jumps) as (encoded, file_bytes, is_local):
        compression = compression_of(_first_bytes(encoded, path)) if start == 0 else None
        if compression is not None:
            stream = cast(BinaryIO, Decompressed(encoded, compression, path))
            file = UnpackedFile(path, functools.partial(_decompressed, opener, path, compression))
            find, at = file.find_targets, file.member_at
        else:
            stream, file = encoded, SharedFile(opener, path)
            find = functools.partial(_find_targets, opener, path)
            at = functools.partial(_member_at, opener, path)
        yield OpenTar(
            shown=f"{path} (decompressed)" if compression else path,
            stream=stream,
            file=file if is_local and not compression else PassingFile(file, stream, keeps),
            num_bytes=None if compression else file_bytes,
            file_bytes=file_bytes,
            compression=compression,
            find_targets=functools.cache(find),
            member_at=functools.cache(at),
        )


@contextlib.contextmanager
def _open_file(
    opener: Opener, path: str, start: int, stop: int | None, jumps: bool
) -> Iterator[tuple[BinaryIO, int | None, bool]]:
    """Opens a file: its stream, its size if that costs nothing or is needed, and whether it is on this machine."""
    with _opened(opener, path) as opened:
        is_local = _is_local(opened)
        file_bytes = opened.seek(0, io.SEEK_END) if is_local or stop is None else None
        if is_local or jumps:
            yield opened, file_bytes, is_local
        else:
            end = file_bytes if stop is None else stop
            assert end is not None
            fetch = store_fetch(opener, path)
            ranges = (
                RangeStream(OpenedFile(lambda _: opened, path).fetch, start, end, num_threads=1)
                if fetch is None
                else RangeStream(fetch, start, end)
            )
            with ranges as stream:
                yield cast(BinaryIO, stream), file_bytes, False


@contextlib.contextmanager
def _decompressed(opener: Opener, path: str, compression: str) -> Iterator[BinaryIO]:
    with _open_file(opener, path, 0, None, False) as (stream, _, _):
        yield cast(BinaryIO, Decompressed(stream, compression, path))


def _find_targets(opener: Opener, path: str) -> Mapping[int, Member]:
    with _opened(opener, path) as stream:
        return find_targets(stream, path, stream.seek(0, io.SEEK_END))


def _member_at(opener: Opener, path: str, start: int) -> Member:
    with _opened(opener, path) as stream:
        return member_at(stream, path, start)


@contextlib.contextmanager
def _opened(opener: Opener, path: str) -> Iterator[BinaryIO]:
    try:
        stream = opener(path)
    except OSError as error:
        raise _cannot_be_opened(path, error) from error
    with stream:
        yield stream


def _first_bytes(stream: BinaryIO, path: str) -> bytes:
    """Returns the first bytes of a stream and goes back; a remote file is asked for here."""
    try:
        stream.seek(0)
        first = stream.read(_MARK_BYTES)
        stream.seek(0)
    except OSError as error:
        raise _cannot_be_opened(path, error) from error
    return first


def _cannot_be_opened(path: str, error: OSError) -> Exception:
    # An outage says nothing about the tar.
    return (
        error
        if isinstance(error, StorageError)
        else SourceError(f"{path}: cannot be opened ({error.strerror or error})")
    )


def _is_local(stream: BinaryIO) -> bool:
    try:
        stream.fileno()
    except (OSError, AttributeError):
        return False
    return True
