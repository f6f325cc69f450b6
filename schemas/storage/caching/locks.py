"""Locks on files of a cache, which end with the process that has them.

A lock is on the file itself, not on its name: who has waited for one looks whether the name is still that file's.
"""

import errno
import fcntl
import os
import pathlib

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


def lock(number: int) -> None:
    """Waits until no other has this open file locked, and locks it.

    Raises:
      OSError: its file system has no locks; the message says what to do.
    """
    _flock(number, fcntl.LOCK_EX)


def try_lock(number: int) -> bool:
    """Locks an open file unless another has it locked, shared or not; returns whether it did."""
    try:
        _flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_shared(number: int) -> None:
    """Waits until no other has this open file for itself, and locks it together with others that do so.

    Raises:
      OSError: see `lock`.
    """
    _flock(number, fcntl.LOCK_SH)


def unlock(number: int) -> None:
    """Ends a lock."""
    fcntl.flock(number, fcntl.LOCK_UN)


def is_still_at(number: int, path: pathlib.Path) -> bool:
    """Returns whether an open file still has this name."""
    try:
        named, opened = path.stat(), os.fstat(number)
    except FileNotFoundError:
        return False
    return (named.st_ino, named.st_dev) == (opened.st_ino, opened.st_dev)


def _flock(number: int, operation: int) -> None:
    try:
        fcntl.flock(number, operation)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        words = "the cache's file system has no locks; set LIT_PRECOMPUTE_CACHE to a folder on this machine's disk"
        raise OSError(error.errno, words) from error
