"""The lines of a table: found in its bytes, counted, decoded.

Promises: a line ends with a line feed, a carriage return, or both, as in Python's text files; the bytes read are
counted, so that every row's position is known after one pass; memory holds about a megabyte and the longest row,
however the lines end.
"""

from __future__ import annotations

from collections.abc import Iterator

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.table.streams import Readable

MAX_ROW_BYTES = 1 << 26  # beyond any text; otherwise a file that is no table would be read into memory whole
NOT_UTF8 = "a NUL character: not UTF-8 (UTF-16?); save the table as UTF-8"
_CHUNK_BYTES = 1 << 20


class Lines:
    """The lines of a byte stream as text, with their ends. Can be iterated over once, in several loops.

    `number` and `offset` are those of the latest line and its end; whoever reads rows from the lines counts in
    `num_blank` the lines without a row, in `num_long_rows` the rows of several lines, and in `num_quoted` the rows of
    a table without quoting that have a field beginning with a quote. Rows without a header note in `unseen` the names
    that were asked for and that no row has had so far, and in `first_names` (names, line) of the first row.

    Args:
      stream: the bytes.
      path: the file's path, for errors.
      at_start: whether the stream begins where the file does, and so may have a byte order mark.
      num_before: lines before the stream's first one, for `number`.
      chunk_bytes: how much is read at a time.
    """

    def __init__(
        self, stream: Readable, path: str, *, at_start: bool, num_before: int = 0, chunk_bytes: int = _CHUNK_BYTES
    ):
        self.path = path
        self.offset = 0
        self.number = num_before
        self.num_blank = self.num_long_rows = self.num_quoted = 0
        self.unseen: set[str] = set()
        self.first_names: tuple[list[str], int] | None = None
        self._chunk_bytes = chunk_bytes
        self._lines = self._decoded(stream, at_start)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def fault(self, message: str, line: int | None = None) -> SourceError:
        """Returns an error that begins with the file and the line (None: the latest one)."""
        return SourceError(f"{self.path}, line {line or self.number}: {message}")

    def _decoded(self, stream: Readable, at_start: bool) -> Iterator[str]:
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

    def _raw(self, stream: Readable) -> Iterator[list[bytes]]:
        """Yields the lines of one chunk after the other."""
        held: list[bytes] = []  # the parts of the last line so far, which may go on in the next chunk
        while chunk := stream.read(self._chunk_bytes):
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
