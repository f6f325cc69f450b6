"""Samples in a tar file, found by its headers alone.

Promises: a member's data is skipped, never read here; a damaged or truncated tar is an error that names file and byte,
where Python's tarfile and most readers stop silently and lose the rest.

Names are grouped by webdataset's rule: a sample's name is the member's path up to the first dot of the file name; the
rest, in lower case, is the member's kind; members of a sample are consecutive. Names without a dot, hidden files and
webdataset's own "__name__" members belong to no sample. Source: github.com/webdataset/webdataset, tariterators.py.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from lit_precompute.precompute.sources.source import SourceError

_NAME = re.compile(r"((?:.*/|)[^./]+)[.]([^/]*)", re.DOTALL)
_OTHER_MARKS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in a tar: the positions of its header and its data."""

    name: str
    start: int
    data: int
    size: int
    stop: int
    check_sum: int


@dataclasses.dataclass(frozen=True)
class Sample:
    """Consecutive members of one name; `parts` maps what follows the first dot to the member."""

    name: str
    parts: dict[str, Member]

    @property
    def start(self) -> int:
        """Returns the byte where the first member's header begins."""
        return next(iter(self.parts.values())).start


def read_samples(stream: BinaryIO, path: str, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
    """Yields the samples of a tar, or of the part [start, stop) of it that begins at a sample.

    Raises:
      SourceError: the tar is damaged or truncated; a sample has two members of one kind.
    """
    name, parts = "", {}
    for member in read_members(stream, path, start, stop):
        match = _NAME.fullmatch(member.name)
        if not match or match[1].rpartition("/")[2].startswith("__"):
            continue
        sample_name, suffix = match[1].removeprefix("./"), match[2].lower()
        if sample_name != name and parts:
            yield Sample(name, parts)
            parts = {}
        name = sample_name
        if suffix in parts:
            raise SourceError(
                f"{path}, byte {member.start}: sample {name!r} has two members {suffix!r}; rename one of them"
            )
        parts[suffix] = member
    if parts:
        yield Sample(name, parts)


def read_members(stream: BinaryIO, path: str, start: int = 0, stop: int | None = None) -> Iterator[Member]:
    """Yields the regular files of a tar, or of the part [start, stop) of it that begins at a header."""
    num_bytes = stream.seek(0, os.SEEK_END)
    stop = num_bytes if stop is None else stop
    tar = _tar_at(stream, path, start)
    while tar.offset < stop:
        offset = stream.seek(tar.offset)
        try:
            info = tarfile.TarInfo.fromtarfile(tar)
        except tarfile.EOFHeaderError:  # pyright: ignore[reportAttributeAccessIssue]
            _check_end(stream, path)
            return
        except tarfile.HeaderError as error:
            raise _damaged(path, offset, str(error)) from error
        if info.offset_data + info.size > num_bytes:
            raise _damaged(
                path, offset, f"{info.name!r} ends at byte {info.offset_data + info.size}, beyond the end of the file"
            )
        if not info.name.isascii() and "\udc80" <= max(info.name) <= "\udcff":
            raise SourceError(f"{path}, byte {offset}: the name {info.name!r} is not UTF-8; rename it")
        if info.isreg():
            yield Member(info.name, offset, info.offset_data, info.size, tar.offset, info.chksum)
    if stop == num_bytes:
        raise _damaged(path, num_bytes, "the end marker is missing")


def _tar_at(stream: BinaryIO, path: str, start: int) -> tarfile.TarFile:
    """Returns a TarFile positioned at byte `start`."""
    stream.seek(start)
    first = stream.read(8)
    for mark, name in _OTHER_MARKS:
        if first.startswith(mark):
            raise SourceError(
                f"{path}: compressed with {name}, but rows are read by position: decompress it to a plain .tar"
            )
    stream.seek(start)
    try:
        tar = tarfile.TarFile(fileobj=stream)
    except tarfile.ReadError as error:
        raise _damaged(path, start, str(error)) from error
    tar.offset = start  # the constructor has read the first header; start again
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
