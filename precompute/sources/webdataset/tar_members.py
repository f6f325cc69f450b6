"""The members of a tar file, found by its headers alone.

Promises: a member's data is skipped, never read here; a damaged or truncated tar is an error that names file and byte,
where Python's tarfile and most readers stop silently and lose the rest. Every member but a directory is yielded.

Not here: where links lead (`tar_links`), which members form a sample (`tar_samples`), and decompression
(`compression`).
"""

from __future__ import annotations

import dataclasses
import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Literal

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import short

# What a header for all later members may not set: a unit is read from its own first byte, without it.
_OWN_FIELDS = {"path", "linkpath", "size"}

# The longest header of a long name or of pax fields; tarfile reads it whole, whatever its size.
_MAX_HEADER_BYTES = 1 << 24


@dataclasses.dataclass(frozen=True)
class Member:
    """A member of a tar: the positions of its header and its data.

    Attributes:
      name: its path in the tar.
      start: the byte where its header begins.
      data: the byte where its data begins.
      size: of its data, in bytes.
      stop: the byte where the next header begins.
      check_sum: its header's.
      kind: "other" is a device, a pipe, or what only the writer of the tar knows.
      target: where a link leads, as written.
      fault: why its bytes cannot be read; "" if they can.
    """

    name: str
    start: int
    data: int
    size: int
    stop: int
    check_sum: int
    kind: Literal["file", "hard link", "link", "other"] = "file"
    target: str = ""
    fault: str = ""

    @property
    def is_link(self) -> bool:
        """Returns whether it is a link, hard or symbolic."""
        return self.kind in ("hard link", "link")


def read_members(
    stream: BinaryIO, path: str, start: int = 0, stop: int | None = None, *, num_bytes: int | None
) -> Iterator[Member]:
    """Yields the members of a tar, or of the part [start, stop) of it that begins at a header, without directories.

    Args:
      stream: the tar; it is only moved forwards.
      path: of the tar, for messages.
      start: where the part begins.
      stop: where it ends; None for the end of the tar.
      num_bytes: of the tar; None if only reading tells.

    Raises:
      SourceError: the tar is damaged or truncated; a name is not UTF-8.
    """
    tar = _tar_at(stream, start)
    while stop is None or tar.offset < stop:
        offset = stream.seek(tar.offset)
        if offset == num_bytes and offset > 0:
            raise _damaged(path, offset, "the end marker is missing")
        block = stream.read(tarfile.BLOCKSIZE)
        member = None if tar.pax_headers else _usual_member(block, offset)
        if member is not None and (num_bytes is None or member.data + member.size <= num_bytes):
            tar.offset = member.stop
            yield member
            continue
        try:
            info = _Header.of_block(block, tar)
        except tarfile.EOFHeaderError:  # pyright: ignore[reportAttributeAccessIssue]
            _check_end(stream, path)
            return
        except SourceError:
            raise  # of the compression
        except (tarfile.HeaderError, ValueError, RecursionError) as error:
            raise _damaged(path, offset, str(error)) from error
        _check_member(info, tar, path, offset, num_bytes)
        if info.type != tarfile.DIRTYPE:
            yield _member(info, offset, tar.offset)


def member_at(stream: BinaryIO, path: str, start: int) -> Member:
    """Returns the member whose header begins at byte `start`."""
    for member in read_members(stream, path, start, start + 1, num_bytes=None):
        return member
    raise _damaged(path, start, "a link leads here, and there is no file")


def shown(name: str) -> str:
    """Returns a member's name as messages show it: control characters are escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


class _Header(tarfile.TarInfo):
    """A header that refuses to read more than a header may hold."""

    _LONG = (
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    )

    @classmethod
    def of_block(cls, block: bytes, tar: tarfile.TarFile) -> tarfile.TarInfo:
        """Returns what `fromtarfile` does, for a block that has just been read."""
        header = cls.frombuf(block, tar.encoding or "utf-8", tar.errors or "surrogateescape")
        header.offset = tar.offset
        return header._proc_member(tar)

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:  # tarfile's own hook for subclasses
        if self.type in self._LONG and not 0 <= self.size <= _MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {self.size:,} bytes")
        return super()._proc_member(tar)  # pyright: ignore[reportAttributeAccessIssue]


def _usual_member(block: bytes, start: int) -> Member | None:
    """Returns the member of a header as nearly all are, a file's with a short name of ASCII; None for any other.

    tarfile reads every field of a header, in twice the time that all else takes.
    """
    if len(block) != tarfile.BLOCKSIZE or block[156] not in b"0\0" or block[345] or not block[0]:
        return None
    name = block[:100].partition(b"\0")[0]
    size, check_sum = block[124:135], block[148:154]
    if not (size.isdigit() and check_sum.isdigit() and name.isascii()) or block[135] not in b" \0" or name[-1:] == b"/":
        return None
    try:
        num_bytes, expected = int(size, 8), int(check_sum, 8)
    except ValueError:
        return None
    if sum(block) - sum(block[148:156]) + 8 * ord(" ") != expected:
        return None
    data = start + tarfile.BLOCKSIZE
    stop = data + -(-num_bytes // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return Member(name.decode(), start, data, num_bytes, stop, expected)


def _member(info: tarfile.TarInfo, start: int, stop: int) -> Member:
    if info.isreg() and info.sparse is None:
        return Member(info.name, start, info.offset_data, info.size, stop, info.chksum)
    kind, target, fault = "file", "", ""
    if info.islnk() or info.issym():
        kind, target = "hard link" if info.islnk() else "link", info.linkname
        fault = f"a link to {short(target)}, which is no file in this tar; write the tar with --dereference"
    elif not info.isreg():
        kind = "other"
    else:
        fault = "a sparse file, which is stored in parts; write the tar without --sparse"
    return Member(info.name, start, info.offset_data, info.size, stop, info.chksum, kind, target, fault)


def _check_member(info: tarfile.TarInfo, tar: tarfile.TarFile, path: str, offset: int, num_bytes: int | None) -> None:
    """Refuses what would lose members: positions outside the file or backwards, names that no table can hold."""
    whole = info.isreg() and info.sparse is None
    end = info.offset_data + info.size if whole else tar.offset
    if num_bytes is not None and end > num_bytes:
        raise _damaged(path, offset, f"{info.name!r} ends at byte {end}, beyond the end of the file")
    if info.size < 0 or tar.offset <= offset:
        raise _damaged(path, offset, f"{info.name!r} has a size of {info.size} bytes")
    if tar.pax_headers and (fields := _OWN_FIELDS & tar.pax_headers.keys()):
        raise _damaged(path, offset, f"a global header sets the {min(fields)} of all members")
    if not info.name.isascii():
        try:
            info.name.encode()
        except UnicodeEncodeError as error:
            raise SourceError(f"{path}, byte {offset}: the name {info.name!r} is not UTF-8; rename it") from error


def _tar_at(stream: BinaryIO, start: int) -> tarfile.TarFile:
    """Returns a TarFile positioned at byte `start`."""
    # The constructor reads the first header: of an empty tar, so that the stream only moves forwards.
    tar = tarfile.TarFile(fileobj=io.BytesIO(bytes(2 * tarfile.BLOCKSIZE)), tarinfo=_Header)
    tar.fileobj = stream
    tar.offset = start
    return tar


def _check_end(stream: BinaryIO, path: str) -> None:
    """Refuses tars joined by `cat`: everything after the first one's end would be lost."""
    while block := stream.read(1 << 20):
        if block.count(0) != len(block):
            offset = stream.tell() - len(block)
            raise SourceError(
                f"{path}: there is data after the tar's end (byte {offset}); join tars with `tar --concatenate`"
            )


def _damaged(path: str, offset: int, message: str) -> SourceError:
    return SourceError(f"{path}, byte {offset}: the tar is damaged or truncated ({message}); fetch or write it again")
