"""Words that messages share: counts that agree with their nouns, and the operating system's errors."""

import errno
import os
import pathlib
import shutil

_NO_ROOM = {errno.ENOSPC: "no space left", errno.EDQUOT: "the quota is used up"}


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns "1 shard", "2 shards", "1,024 shards"; `plural` where it is more than an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or noun + 's'}"


def os_error_in_words(error: OSError, folder: str | None = None) -> str:
    """Returns what went wrong and where; a full disk is named by its file system.

    Args:
      error: the error.
      folder: where files were being written, for errors that name no file.
    """
    place = error.filename or folder
    if error.errno in _NO_ROOM and place is not None:
        file_system = _file_system(pathlib.Path(str(place)))
        size = f"{shutil.disk_usage(file_system).total / 1e6:,.1f} MB in all"
        return f"{_NO_ROOM[error.errno]} on the file system at {file_system} ({size}), writing {place}"
    if error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or repr(error)


def is_full_disk(error: BaseException | None) -> bool:
    """Returns whether an error, or one that it comes from, says that a disk or a quota is full.

    A library's own error contains the system's words.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        if any(os.strerror(number) in str(error) for number in _NO_ROOM):
            return True
        error = error.__cause__ or error.__context__
    return False


def _file_system(path: pathlib.Path) -> pathlib.Path:
    """Returns where the file system that holds a path is mounted."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.is_mount())
