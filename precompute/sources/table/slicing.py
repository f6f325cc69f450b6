"""Cutting a table into slices while it is read, so that no list of its rows is needed.

A worker reads a slice of a plain file alone. Of a compressed file it also decompresses everything before the slice,
which for slices of equal size would add up to the square of the file's length. Therefore slices of a compressed file
grow with their distance from its beginning: what is decompressed in vain is at most `_MAX_IN_VAIN` times what is read,
beyond a piece at the beginning that costs a fraction of a second. Tools that write compressed files in independent
parts are rare, and one slice a file would make shards of millions of rows of files that people have.
"""

from __future__ import annotations

from lit_precompute.precompute.sources.source import FileSlice
from lit_precompute.precompute.sources.table.gathering import PlacedRow

_MAX_IN_VAIN = 16
_FREE_BYTES = 1 << 26


class Slicer:
    """Cuts the rows of one file, given in order, into slices of consecutive rows.

    Args:
      path: of the file.
      rows_per_slice: at least 1; slices far into a compressed file have more.
      start: where the first row may begin, in bytes of text.
      lines_before: lines before it.
      is_compressed: whether the file is.
    """

    def __init__(self, path: str, rows_per_slice: int, *, start: int, lines_before: int, is_compressed: bool):
        self._path, self._rows_per_slice, self._is_compressed = path, rows_per_slice, is_compressed
        self._start, self._stop = start, start
        self._lines_before, self._last_line = lines_before, lines_before
        self._num_rows = 0
        self._slices: list[FileSlice] = []

    def add(self, placed: PlacedRow) -> None:
        """Adds the next row."""
        if self._num_rows >= self._rows_per_slice and self._stop - self._start >= self._min_bytes():
            self._cut()
        self._num_rows += 1
        self._stop, self._last_line = placed.end, placed.last_line

    def finish(self) -> tuple[FileSlice, ...]:
        """Returns the slices."""
        if self._num_rows:
            self._cut()
        return tuple(self._slices)

    def _min_bytes(self) -> int:
        return (self._start - _FREE_BYTES) // _MAX_IN_VAIN if self._is_compressed else 0

    def _cut(self) -> None:
        self._slices.append(
            FileSlice(
                path=self._path,
                start=self._start,
                stop=self._stop,
                num_rows=self._num_rows,
                lines_before=self._lines_before,
            )
        )
        self._start, self._lines_before, self._num_rows = self._stop, self._last_line, 0
