"""A weights file's bytes, read range by range into our own memory.

Promises: no read needs more memory than the file has bytes, whatever a header claims; a file that ends early,
even one truncated while it is read, is an error that names it.

Not here: memory maps. Overwriting a mapped file in place (`cp new.npz weights.npz`) kills the process with SIGBUS at
some later moment, and JAX may use host memory for the whole run; ranges read straight into their arrays need no more
memory than the parameters do.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np

from lit_precompute.towers.weights.errors import WeightsError

# A single item in the pickle of a tensor file is a name or a number; tensors' bytes are read elsewhere.
_MAX_LINE_BYTES = 1 << 16
_MAX_WORD_BYTES = 1 << 24
_PIECE_BYTES = 1 << 20


class FileBytes:
    """An open file of known length; `read`, `readline` and `tell` are what pickletools needs of a stream."""

    def __init__(self, file: BinaryIO, where: str):
        """Takes a seekable file; `where` names it in errors."""
        self.file, self.where = file, where
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read_at(self, offset: int, num_bytes: int) -> np.ndarray:
        """Returns a range of the file as uint8 [num_bytes], read-only.

        Raises:
          WeightsError: the range is not inside the file.
        """
        if not (offset >= 0 and num_bytes >= 0 and offset + num_bytes <= self.size):
            raise WeightsError(
                f"{self.where}: bytes {offset} to {offset + num_bytes} are outside the file's {self.size}; "
                "fetch it again"
            )
        values = np.empty(num_bytes, np.uint8)
        self.file.seek(offset)
        fill(self.file, values, self.where)
        return values

    def read(self, num_bytes: int) -> bytes:
        """Returns the next bytes; fewer at the file's end, or where more are requested than any name has."""
        return self.file.read(max(0, min(num_bytes, self.size - self.tell(), _MAX_WORD_BYTES)))

    def readline(self) -> bytes:
        """Returns the bytes up to and including the next line feed, or fewer if the line is longer than any name."""
        return self.file.readline(_MAX_LINE_BYTES)

    def tell(self) -> int:
        """Returns the position of the next `read`."""
        return self.file.tell()

    def seek(self, offset: int) -> None:
        """Sets the position of the next `read`."""
        self.file.seek(offset)


def fill(file: BinaryIO, values: np.ndarray, where: str) -> None:
    """Fills `values` (uint8) from the file's position and makes it read-only.

    Raises:
      WeightsError: the file ends early.
    """
    view, position = values.data, 0
    while position < len(view):
        # In pieces: a zip member's readinto keeps a second copy of what it reads.
        num_read = file.readinto(view[position : position + _PIECE_BYTES])  # pyright: ignore[reportAttributeAccessIssue]
        if not num_read:
            raise WeightsError(f"{where}: ends after {position} of {len(view)} bytes; fetch it again")
        position += num_read
    values.flags.writeable = False
