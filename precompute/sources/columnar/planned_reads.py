"""Reading planned parts of a file in few large requests, whatever the sizes in which a library asks for them.

Promises: of the planned parts nothing is read twice as long as each is read in order; parts that lie together are read
by one request; memory holds one piece of each part. What was not planned is read as it is asked for.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterable
from typing import BinaryIO

PIECE_BYTES = 1 << 24
# Fewer unneeded bytes than this between two parts cost less than another request.
_MAX_GAP_BYTES = 1 << 16


@dataclasses.dataclass
class _Part:
    """A range of the file, of which one piece is held: `held`, from `held_from` on."""

    start: int
    stop: int
    held_from: int = 0
    held: bytes = b""


class PlannedReads(io.RawIOBase):
    """A stream over another, for a library; it closes when the other does. Not thread-safe.

    Attributes:
      error: what the stream below raised, which the library may have replaced by an error of its own.
    """

    def __init__(self, stream: BinaryIO, num_bytes: int):
        self._stream, self._num_bytes = stream, num_bytes
        self._position = 0
        self._parts: list[_Part] = []
        self._kept: list[_Part] = []
        self.error: BaseException | None = None

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._num_bytes}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes; fewer only at the end of the file."""
        start = self._position
        stop = self._num_bytes if size < 0 else min(start + size, self._num_bytes)
        data = self.range(start, stop) if stop > start else b""
        self._position += len(data)
        return data

    def keep(self, start: int, data: bytes) -> None:
        """Keeps bytes that have been read."""
        self._kept.append(_Part(start, start + len(data), start, data))

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Plans which ranges (start, stop) are read next; each from its start on. Forgets earlier plans."""
        parts: list[_Part] = []
        for start, stop in sorted(ranges):
            last = parts[-1] if parts else None
            if last and start - last.stop <= _MAX_GAP_BYTES and stop - last.start <= PIECE_BYTES:
                last.stop = max(stop, last.stop)
            else:
                parts.append(_Part(start, min(stop, self._num_bytes)))
        self._parts = parts

    def range(self, start: int, stop: int) -> bytes:
        """Returns the bytes [start, stop), of which fewer exist if the file ends before."""
        part = next((part for part in (*self._kept, *self._parts) if part.start <= start < part.stop), None)
        if part is None:
            return self._read(start, stop)
        pieces: list[bytes] = []
        while start < min(stop, part.stop):
            if not part.held_from <= start < part.held_from + len(part.held):
                part.held = self._read(start, min(max(start + PIECE_BYTES, 0), part.stop))
                part.held_from = start
            piece = part.held[start - part.held_from : stop - part.held_from]
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        if start < stop and start >= part.stop:
            pieces.append(self.range(start, stop))
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]

    def _read(self, start: int, stop: int) -> bytes:
        try:
            self._stream.seek(start)
            return self._stream.read(max(stop - start, 0))
        except BaseException as error:
            self.error = error
            raise
