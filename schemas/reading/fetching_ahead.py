"""Fetches files of a dataset in a store before they are read, in threads.

Promises: files are fetched in the order in which they were asked for; what is here and was not yet read is at most a
share of the cache and 4 GiB, so that nothing is removed before it is read. An error is left to whoever reads the file.
"""

import collections
import threading
from collections.abc import Callable, Iterable, Mapping

from lit_precompute.schemas.reading.table_reader import TableReader

# A single connection seldom fills a link, and each of them has a piece of a file in memory.
_THREADS = 8
# Of what is here and was not read. The rest of the cache is for what is being read, and for other processes.
_SHARE_OF_CACHE, _MOST_BYTES = 0.5, 4 << 30
# How long closing waits for threads, which look up after each piece of a file.
_CLOSING_S = 1.0

_File = tuple[str, int]  # table, shard


class FetchingAhead:
    """Threads that fetch; they start when they are first needed. Thread-safe."""

    def __init__(self, readers: Mapping[str, TableReader], bound: Callable[[], int]):
        """Takes the readers of all tables, and what tells how many bytes the cache may hold."""
        self._readers, self._bound = readers, bound
        self._wanted: collections.OrderedDict[_File, int] = collections.OrderedDict()
        self._unread: dict[_File, int] = {}
        # Of each file that was asked for, how many of its blocks may still be needed.
        self._num_needed: collections.Counter[_File] = collections.Counter()
        self._most_bytes = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def want(self, files: Iterable[_File]) -> None:
        """Asks for the files of blocks, next and in this order, instead of those that were asked for and not begun.

        A file is named once for each of its blocks.
        """
        num_needed = collections.Counter(files)
        sizes = {(table, shard): self._readers[table].num_bytes(shard) for table, shard in num_needed}
        with self._changed:
            if not self._threads:
                self._most_bytes = min(int(_SHARE_OF_CACHE * self._bound()), _MOST_BYTES)
                self._is_closed = False
                self._threads = [
                    threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True)
                    for number in range(_THREADS)
                ]
                for thread in self._threads:
                    thread.start()
            self._wanted, self._num_needed = collections.OrderedDict(sizes), num_needed
            self._unread = {file: size for file, size in self._unread.items() if file in sizes}
            for file in self._unread:
                del self._wanted[file]
            self._changed.notify_all()

    def note_read(self, table: str, shard: int) -> None:
        """Notes that a file is being read: there is room for others."""
        if self._threads:
            with self._changed:
                self._wanted.pop((table, shard), None)
                if self._unread.pop((table, shard), None) is not None:
                    self._changed.notify()

    def note_skipped(self, files: Iterable[_File]) -> None:
        """Notes that blocks will not be read, by their files: one none of whose blocks is needed makes room."""
        if self._threads:
            with self._changed:
                for file in files:
                    self._num_needed[file] -= 1
                    if self._num_needed[file] <= 0:
                        self._wanted.pop(file, None)
                        self._unread.pop(file, None)
                self._changed.notify_all()

    def close(self) -> None:
        """Ends the threads; `want` starts them again."""
        with self._changed:
            self._is_closed = True
            self._wanted.clear()
            self._unread.clear()
            self._changed.notify_all()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(_CLOSING_S)

    def _work(self) -> None:
        while (file := self._next()) is not None:
            table, shard = file
            try:
                self._readers[table].fetch(shard, lambda: self._is_closed)
            except Exception:  # noqa: BLE001 -- whoever reads the file meets it, at its place
                continue

    def _next(self) -> _File | None:
        """Returns the next file to fetch, once there is room for it; None at the end."""
        with self._changed:
            while not self._is_closed:
                file = next(iter(self._wanted), None)
                if file is not None:
                    unread = sum(self._unread.values())
                    if not unread or unread + self._wanted[file] <= self._most_bytes:
                        self._unread[file] = self._wanted.pop(file)
                        return file
                self._changed.wait()
            return None
