"""The lines of a table file: found in its bytes, counted, hashed, decoded.

Promises: a line ends with a line feed, a carriage return, or both, as in Python's text files; the bytes read are
counted, so that every row's position is known after one pass; memory holds about a megabyte and the longest row,
however the lines end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from lit_precompute.precompute.sources.source import SourceError

MAX_ROW_BYTES = 1 << 26  # beyond any text; otherwise a file that is no table would be read into memory whole
NOT_UTF8 = "a NUL character: not UTF-8 (UTF-16?); save the table as UTF-8"
_CHUNK_BYTES = 1 << 20


class Lines:
    """The lines of a byte stream as text, with their ends. Can be iterated over once, in several loops.

    `number` and `offset` are those of the latest line and its end; whoever reads rows from the lines counts in
    `num_blank` the lines without a row, in `num_long_rows` the rows of several lines, and in `num_quoted` the rows of
    a table without quoting that have a field beginning with a quote.

    Args:
      stream: the bytes.
      path: the file's path, for errors.
      at_start: whether the stream begins where the file does, and so may have a byte order mark.
    """

    def __init__(self, stream: BinaryIO, path: str, *, at_start: bool):
        self.path = path
        self.offset = 0
        self.number = 0
        self.num_blank = self.num_long_rows = self.num_quoted = 0
        self.digest = hashlib.sha256()
        self._lines = self._decoded(stream, at_start)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def fault(self, message: str, line: int | None = None) -> SourceError:
        """Returns an error that begins with the file and the line (None: the latest one)."""
        return SourceError(f"{self.path}, line {line or self.number}: {message}")

    def _decoded(self, stream: BinaryIO, at_start: bool) -> Iterator[str]:
        encoding = "utf-8-sig" if at_start else "utf-8"
        for batch in self._raw(stream):
            for raw in batch:
                self.offset += len(raw)
                self.number += 1
                try:
                    yield raw.decode(encoding)
                except UnicodeDecodeError as error:
                    raise self.fault(f"not UTF-8 at byte {error.start} of the line; save the table as UTF-8") from error
                encoding = "utf-8"

    def _raw(self, stream: BinaryIO) -> Iterator[list[bytes]]:
        """Yields the lines of one chunk after the other."""
        held: list[bytes] = []  # the parts of the last line so far, which may go on in the next chunk
        while chunk := stream.read(_CHUNK_BYTES):
            self.digest.update(chunk)
            if held and (held[-1].endswith(b"\n") or (held[-1].endswith(b"\r") and not chunk.startswith(b"\n"))):
                yield [b"".join(held)]
                held = []
            lines = chunk.splitlines(keepends=True)
            last = lines.pop()
            if lines:
                lines[0] = b"".join([*held, lines[0]])
                held = []
                yield lines
            held.append(last)
            if sum(map(len, held)) > MAX_ROW_BYTES:
                raise self.fault(f"longer than {MAX_ROW_BYTES:,} bytes; is this a table?", self.number + 1)
        if held:
            yield [b"".join(held)]
