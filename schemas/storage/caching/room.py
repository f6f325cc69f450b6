"""How much a cache may hold, and what is removed to make room: the files that were not used for longest.

Promises: the bound holds to within the file that is being fetched, and a hundredth for each process at work; a file
that somebody is opening or fetching stays. Whoever has removed files open can read them to their end.

A file's time of modification says when it was last used: times of reading are often not kept.
"""

import os
import pathlib
import re
import shutil
import threading
from typing import NamedTuple

from lit_precompute.schemas.storage.caching.locks import is_still_at, try_lock
from lit_precompute.schemas.storage.names import DatasetError

BOUND_VARIABLE = "LIT_PRECOMPUTE_CACHE_BYTES"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
# By default, of what would be free if the cache were empty.
_SHARE_OF_DISK = 0.5


class _Found(NamedTuple):
    """A file in the cache; sorts by its last use."""

    used_ns: int
    num_bytes: int
    path: str


def bound_of(folder: pathlib.Path, num_bytes_now: int) -> int:
    """Returns how many bytes a cache may hold: as the environment says, or half of what would be free without it.

    Raises:
      DatasetError: the environment's number is malformed.
    """
    named = os.environ.get(BOUND_VARIABLE, "").strip()
    if not named:
        return int(_SHARE_OF_DISK * (shutil.disk_usage(folder).free + num_bytes_now))
    if (match := _SIZE.fullmatch(named)) is None:
        raise DatasetError(f"{BOUND_VARIABLE}: must be a size such as 50GB, 50GiB or 50000000000, got {named!r}")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " "))


class Room:
    """The room of one folder, whose files are in folders of two digits. Thread-safe."""

    def __init__(self, folder: pathlib.Path):
        """Looks at nothing yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._left = -1  # bytes that may come before the folder is looked through again
        self._bound = 0

    @property
    def bound(self) -> int:
        """Bytes that the folder may hold, as it was when it was last looked through."""
        with self._lock:
            if self._left < 0:
                self._look(0)
            return self._bound

    def make(self, num_bytes: int) -> None:
        """Removes what was not used for longest until so many bytes more are within the bound, or nothing is left."""
        with self._lock:
            if num_bytes > self._left:
                self._look(num_bytes)
            else:
                self._left -= num_bytes

    def free(self, num_bytes: int) -> bool:
        """Removes so many bytes whatever the bound, where the disk is full; returns whether anything was removed."""
        with self._lock:
            return self._remove(sorted(self._files()), num_bytes) > 0

    def _look(self, num_bytes: int) -> None:
        found = sorted(self._files())
        total = sum(file.num_bytes for file in found)
        self._bound = bound_of(self._folder, total)
        total -= self._remove(found, total + num_bytes - self._bound)
        self._left = max(0, min(self._bound // 100, self._bound - total - num_bytes))

    def _files(self) -> list[_Found]:
        found: list[_Found] = []
        for folder in os.scandir(self._folder):
            if not folder.is_dir():
                continue
            for file in os.scandir(folder.path):
                try:
                    status = file.stat(follow_symlinks=False)
                except FileNotFoundError:  # another process has just removed it
                    continue
                found.append(_Found(status.st_mtime_ns, status.st_size, file.path))
        return found

    def _remove(self, found: list[_Found], num_bytes: int) -> int:
        """Removes the first of these files, as many as have so many bytes; returns how many bytes are gone."""
        removed = 0
        for file in found:
            if removed >= num_bytes:
                break
            if remove_unless_in_use(pathlib.Path(file.path)):
                removed += file.num_bytes
        return removed


def remove_unless_in_use(path: pathlib.Path) -> bool:
    """Removes a file unless somebody is opening or fetching it; returns whether it did."""
    try:
        number = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if not try_lock(number) or not is_still_at(number, path):
            return False
        path.unlink()
        return True
    finally:
        os.close(number)
