"""A file of the cache that somebody is opening or reading."""

import os
import pathlib
import time

from lit_precompute.schemas.storage.caching.locks import unlock

_TOUCH_EVERY_S = 10.0


class HeldFile:
    """A whole file of the cache: it cannot be removed before `release`, nor its bytes before `close`."""

    def __init__(self, path: pathlib.Path, number: int):
        """Takes the path, and the number of the open file, which is locked."""
        self.path, self._number, self._touched_s = path, number, -_TOUCH_EVERY_S
        self.touch()

    def release(self) -> None:
        """Allows to remove the file; who has opened it can go on reading."""
        unlock(self._number)

    def touch(self) -> None:
        """Notes that the file is used; now and then, however often it is called."""
        if (now_s := time.monotonic()) - self._touched_s >= _TOUCH_EVERY_S:
            self._touched_s = now_s
            os.utime(self._number)

    @property
    def is_removed(self) -> bool:
        """Whether it was removed: its bytes are on the disk for as long as it is open."""
        return os.fstat(self._number).st_nlink == 0

    def close(self) -> None:
        """Closes the file."""
        os.close(self._number)
