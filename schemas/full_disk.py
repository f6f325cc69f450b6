"""A full disk, as the system and the libraries that write by themselves report it."""

import errno
import os

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def is_full_disk(error: BaseException | None) -> bool:
    """Returns whether an error, or one that it comes from, says that a disk or a quota is full.

    A library's own error contains the system's words.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            return True
        if any(os.strerror(number) in str(error) for number in _FULL_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False
