"""A part of a remote file as a stream for a reader that needs most of it: few requests, and the next ones ahead.

Promises: bytes are fetched once and in order, by several threads where the store allows it; a reader that jumps over a
large member does not fetch it. Memory is that of the pieces ahead, however large the part is.

Not here: a reader that jumps from header to header, for which an open remote file is enough.
"""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable
from typing import BinaryIO

from lit_precompute.precompute.sources.files import Opener
from lit_precompute.precompute.sources.webdataset.forward_stream import ForwardStream
from lit_precompute.schemas.storage import WEB_SCHEMES, is_url, local_path, open_file, read_range

Fetch = Callable[[int, int], bytes]
"""Returns the bytes [start, stop) of a file; fewer only where the file ends."""

_MAX_PIECE_BYTES = 16 << 20
_PIECES_AHEAD = 3
_THREADS = _PIECES_AHEAD + 1
# A longer one is a jump; after it, little is fetched until it is clear whether another one follows.
_LONGEST_GAP_BYTES = 4 << 20
_FIRST_AFTER_JUMP_BYTES = 256 << 10
_SHORTEST_RUN_BYTES = 64 << 10


class OpenedFile:
    """A file that several threads read by position: opened at first use, closed when nothing refers to it."""

    def __init__(self, opener: Opener, path: str):
        self._opener, self._path = opener, path
        self._stream: BinaryIO | None = None
        self._lock = threading.Lock()

    def fetch(self, start: int, stop: int) -> bytes:
        """Returns the bytes [start, stop); fewer only where the file ends."""
        with self._lock:
            if self._stream is None:
                self._stream = self._opener(self._path)
            stream = getattr(self._stream, "raw", self._stream)  # a buffer would fetch more than it is asked for
            stream.seek(start)
            data: bytes = stream.read(stop - start)
            while data and len(data) < stop - start and (more := stream.read(stop - start - len(data))):
                data += more
        return data

    def __del__(self):
        if self._stream is not None:
            self._stream.close()


def store_fetch(opener: Opener, path: str) -> Fetch | None:
    """Returns what fetches ranges of an object in a store, in any number of threads; None for any other file."""
    function, options = (opener.func, opener.keywords) if isinstance(opener, functools.partial) else (opener, {})
    if function is not open_file or not is_url(path) or path.startswith(WEB_SCHEMES) or local_path(path) is not None:
        return None
    return functools.partial(read_range, path, **options)


class RangeStream(ForwardStream):
    """The bytes [start, stop) of a file, by position in the file; read forwards."""

    def __init__(self, fetch: Fetch, start: int, stop: int, *, num_threads: int = _THREADS):
        """Fetches nothing yet.

        Args:
          fetch: called for one piece at a time by each thread.
          start: where the part begins.
          stop: where it ends.
          num_threads: that fetch; 1 if several would wait for each other.
        """
        self._fetch, self._stop = fetch, stop
        self._pool = concurrent.futures.ThreadPoolExecutor(num_threads, "fetch")
        self._position = start
        self._next_bytes = _MAX_PIECE_BYTES
        self._run = (start, start)  # what was read since the last jump
        # Where each piece begins and ends, and its bytes; one after the other.
        self._pieces: collections.deque[tuple[int, int, concurrent.futures.Future[bytes]]] = collections.deque()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position; fetches nothing."""
        assert whence == os.SEEK_SET, "a part of a file is read by position"
        self._position = offset
        return offset

    def read(self, size: int = -1, /) -> bytes:
        """Returns up to `size` bytes; fewer only at the end of the part or the file."""
        wanted = self._stop - self._position if size < 0 else min(size, self._stop - self._position)
        if not self._run[0] <= self._position <= self._run[1] + _LONGEST_GAP_BYTES:
            self._jump()
        return self._gather(wanted)

    def close(self) -> None:
        """Ends the threads; pieces that no thread has begun are not fetched."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pieces.clear()
        super().close()

    def _next(self, size: int) -> bytes:
        start, piece = self._piece()
        data = piece[self._position - start : self._position - start + size]
        self._run = (self._run[0], self._position + len(data))
        return data

    def _jump(self) -> None:
        """Begins a new run: takes back what no thread has begun to fetch, and fetches little at first."""
        self._run = (self._position, self._position)
        self._next_bytes = _FIRST_AFTER_JUMP_BYTES
        while self._pieces and self._pieces[-1][2].cancel():
            self._pieces.pop()

    def _piece(self) -> tuple[int, bytes]:
        """Returns where the piece at the position begins, and its bytes; sees to the next ones."""
        while self._pieces and self._pieces[0][1] <= self._position:
            self._pieces.popleft()
        if not self._pieces or self._position < self._pieces[0][0]:
            self._pieces.clear()
            self._submit(self._position)
        is_run = self._run[1] - self._run[0] >= _SHORTEST_RUN_BYTES
        while is_run and len(self._pieces) <= _PIECES_AHEAD and self._pieces[-1][1] < self._stop:
            self._submit(self._pieces[-1][1])
        start, _, piece = self._pieces[0]
        return start, piece.result()

    def _submit(self, start: int) -> None:
        stop = min(start + self._next_bytes, self._stop)
        self._next_bytes = min(2 * self._next_bytes, _MAX_PIECE_BYTES)
        self._pieces.append((start, stop, self._pool.submit(self._fetch, start, stop)))
