"""Publishing to the local disk: files and folders that appear whole, and locks.

Promises: a published file appears whole or not at all, even if the process is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import TextIO

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}", re.DOTALL)  # `unique_name` of a hidden one


def publish(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Flushes a finished temporary file to the disk and renames it to its final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Writes a small UTF-8 file that readers see whole or not at all."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file that readers see whole or not at all; nothing remains of it if the disk is full.

    Raises:
      OSError: the file cannot be written; names `path`, not the temporary file.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        temporary.write_bytes(content)
        publish(temporary, path)


@contextlib.contextmanager
def temporary_beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the name of a temporary file beside `path` and removes it; errors about it, or about no file, name `path`.

    A full disk's is about no file.
    """
    temporary = path.with_name(unique_name(f".{path.name}"))
    try:
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def publish_folder(path: str | os.PathLike[str], fill: Callable[[pathlib.Path], object], *, prefix: str = ".") -> None:
    """Makes a new folder appear whole, by rename; its files are flushed to the disk only if `fill` does so.

    Args:
      path: the folder.
      fill: writes the contents into the folder that it is given.
      prefix: prefix of the name of the temporary folder, which is beside `path` and may remain after a kill.

    Raises:
      FileExistsError: `path` is a file, or a folder that is not empty.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(unique_name(f"{prefix}{path.name}"))
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        _rename_to_new(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def lock_file(path: pathlib.Path) -> TextIO:
    """Opens a file under an exclusive lock, released when the file is closed or the process ends, even by a kill.

    Raises:
      BlockingIOError: another process holds the lock.
    """
    try:
        file = path.open("a")
    except PermissionError:  # another user's, for example in /tmp
        file = path.open()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def unique_name(name: str) -> str:
    """Returns a name that no other attempt uses."""
    return f"{name}.{uuid.uuid4().hex}"


def is_unfinished(path: str) -> bool:
    """Returns whether a file has the name that it has until it is finished."""
    return _UNFINISHED.fullmatch(path.rpartition("/")[2]) is not None


def _rename_to_new(folder: pathlib.Path, path: pathlib.Path) -> None:
    try:
        folder.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise FileExistsError(errno.EEXIST, "is a file, or a folder that is not empty", str(path)) from error


def flush(path: pathlib.Path) -> None:
    """Waits until a file, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def start_flushing(path: pathlib.Path) -> int:
    """Makes the system write a file to the disk from now on, so that a later `flush` waits less; returns its size."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if hasattr(os, "posix_fadvise"):  # not on macOS
            # What this is for is forgetting what is on the disk; for that, Linux begins to write the rest.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
