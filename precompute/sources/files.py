"""The files of a source: the tables and tars themselves, and a table's images.

Promises: an image fails its row only by a definite answer, that it is not there or must not be read; whatever says
nothing about it, such as a server that is down, is raised.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Mapping
from typing import BinaryIO

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.reading import LargeFileError
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import shown_path
from lit_precompute.schemas.storage import FoundFile, StorageError

_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    *((b"BZh%d" % level, "bzip2") for level in range(1, 10)),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((b"%c\x2a\x4d\x18" % number, "zstd") for number in range(0x50, 0x60)),  # frames to be skipped, as pzstd writes
    (b"PK\x03\x04", "zip"),
)

Opener = Callable[[str], BinaryIO]
"""Opens a path for reading, seekable. Opening it or reading from it raises FileNotFoundError if there is no such file,
another OSError that says so if this file cannot be read, and `StorageError` if that is not about the file."""

Finder = Callable[[str], Mapping[str, FoundFile]]
"""Returns the files and folders that match a glob pattern, sorted by path; may be empty."""


class FoundOnce:
    """A finder that gives what was found when the format of a source was recognised, instead of listing it again.

    Each listing is given once; whoever asks later, or in another process, gets a new one.
    """

    def __init__(self, find: Finder):
        """Takes what lists."""
        self._find = find
        self._found: dict[str, Mapping[str, FoundFile]] = {}

    def first(self, pattern: str) -> Mapping[str, FoundFile]:
        """Lists, and keeps what it found for the next question."""
        self._found[pattern] = found = self._find(pattern)
        return found

    def __call__(self, pattern: str) -> Mapping[str, FoundFile]:
        """Returns what matches the pattern."""
        found = self._found.pop(pattern, None)
        return self._find(pattern) if found is None else found

    def __reduce__(self) -> tuple[type[FoundOnce], tuple[Finder]]:
        """Leaves listings behind."""
        return FoundOnce, (self._find,)


# The errors of a file that exists but cannot be read. Everything else (a lost connection, too many open files) is not
# about the image: it is raised, so that the unit is retried.
_UNREADABLE = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EINVAL}


def read_image(opener: Opener, path: str, max_bytes: int | None = None) -> bytes:
    """Returns the bytes of the image at `path`.

    Raises:
      LargeFileError: it is a local file of more than `max_bytes`; the size of another is not worth a request.
      ImageError: "missing" or "unreadable".
      OSError: not about this image: the server or store did not answer, or too many files are open.
    """
    try:
        with opener(path) as stream:
            if max_bytes is not None and _local_size(stream) > max_bytes:
                raise LargeFileError(path)
            return stream.read()
    except StorageError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing", f"no such file: {shown_path(path)}") from error
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        raise ImageError("unreadable", f"{shown_path(path)}: {error.strerror}") from error


def _local_size(stream: BinaryIO) -> int:
    """Returns the size of a file of this machine; 0 for any other."""
    try:
        return os.fstat(stream.fileno()).st_size
    except io.UnsupportedOperation:
        return 0


def open_first(path: str, opener: Opener) -> BinaryIO:
    """Opens a file that the source cannot do without.

    Raises:
      SourceError: it cannot be opened.
    """
    try:
        stream = opener(path)
        stream.read(1)  # a remote file is asked for when it is first read
        stream.seek(0)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened ({error.strerror or error})") from error
    return stream


def compression_of(first_bytes: bytes) -> str | None:
    """Returns the name of the compression that a file's first bytes indicate, if any."""
    return next((name for mark, name in _COMPRESSED if first_bytes.startswith(mark)), None)


def check_scheme(path: str, where: str, opener: Opener) -> None:
    """Checks before any work that files like the one at `path` can be opened; whether this one exists is not checked.

    Raises:
      SourceError: the scheme is unknown, or its package is not installed; the message begins with `where`.
    """
    try:
        opener(path).close()
    except StorageError as error:
        raise SourceError(f"{where}: {error}") from error
    except OSError:
        return  # about this one file: it becomes a failed row
