"""A stream that is read forwards, and whose position counts."""

from __future__ import annotations

import io


class ForwardStream(io.RawIOBase):
    """What gathers the pieces that a read asks for; `_next` returns some of the bytes at `_position`."""

    _position = 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def _next(self, size: int) -> bytes:
        """Returns up to `size` bytes at the position, b"" only at the end."""
        raise NotImplementedError

    def _gather(self, wanted: int) -> bytes:
        """Returns as many bytes as are wanted, fewer only at the end; moves the position."""
        found: list[bytes] = []
        while wanted > 0 and (data := self._next(wanted)):
            found.append(data)
            wanted -= len(data)
            self._position += len(data)
        return found[0] if len(found) == 1 else b"".join(found)
