"""The bits of a selection, a megabyte of rows at a time: written as rows are found, and narrowed down afterwards."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lit_precompute.schemas.sharing.selection import Mask, Rows, Selection

ROWS_AT_ONCE = 1 << 20  # a multiple of 8: whole bytes of bits


class BitWriter:
    """Masks of consecutive rows, packed as they come."""

    def __init__(self):
        """Begins with row 0."""
        self._packed = bytearray()
        self._waiting: list[Mask] = []
        self._num_waiting = 0

    def append(self, mask: Mask) -> None:
        """Appends the next rows."""
        self._waiting.append(mask)
        self._num_waiting += len(mask)
        if self._num_waiting >= ROWS_AT_ONCE:
            rows = np.concatenate(self._waiting)
            whole = len(rows) // 8 * 8
            self._packed += np.packbits(rows[:whole], bitorder="little").tobytes()
            self._waiting, self._num_waiting = [rows[whole:]], len(rows) - whole

    def finish(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Returns the bits of all rows."""
        rows = np.concatenate([np.zeros(0, np.bool_), *self._waiting])
        return np.frombuffer(self._packed + np.packbits(rows, bitorder="little").tobytes(), np.uint8)


def selected_rows(selection: Selection) -> Iterator[Rows]:
    """Yields the numbers of the selected rows, of `ROWS_AT_ONCE` rows of the dataset at a time."""
    num_rows = selection.dataset.num_rows
    for start in range(0, num_rows, ROWS_AT_ONCE):
        yield selection.rows(start, min(start + ROWS_AT_ONCE, num_rows))


def keep_rows(selection: Selection, keep: Callable[[Rows], Mask]) -> Selection:
    """Returns the selected rows that a function keeps; it is given them as `selected_rows` yields them."""
    bits, num_rows = BitWriter(), selection.dataset.num_rows
    for start, rows in zip(range(0, num_rows, ROWS_AT_ONCE), selected_rows(selection), strict=True):
        mask = np.zeros(min(ROWS_AT_ONCE, num_rows - start), np.bool_)
        mask[rows[keep(rows)] - start] = True
        bits.append(mask)
    return dataclasses.replace(selection, bits=bits.finish())
