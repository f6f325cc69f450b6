"""Where a dataset's rows are: the blocks of each shard, by arithmetic alone.

Promises: nothing is read. Every block but a shard's last has `block_rows` rows, so that the shards' row counts
determine where each row and each block is.
"""

from typing import Any

import numpy as np


class BlockLayout:
    """Rows and blocks, counted through all shards."""

    def __init__(self, shard_rows: Any, block_rows: int):
        """Takes the number of rows of each shard, integers [n], and of a full block."""
        self._shard_rows, self._block_rows = np.asarray(shard_rows, np.int64), block_rows
        self._shard_blocks = -(-self._shard_rows // block_rows)
        self._row_ends = np.cumsum(self._shard_rows)
        self._block_ends = np.cumsum(self._shard_blocks)

    @property
    def num_blocks(self) -> int:
        """Blocks of all shards."""
        return int(self._block_ends[-1]) if len(self._block_ends) else 0

    def locate(self, block: int) -> tuple[int, int]:
        """Returns (shard number, block within it).

        Raises:
          IndexError: `block` is outside [0, num_blocks); negatives do not wrap.
        """
        return _locate(self._block_ends, block, "block")

    def span(self, block: int) -> tuple[int, int]:
        """Returns the rows [start, stop) of a block.

        Raises:
          IndexError: `block` is outside [0, num_blocks); negatives do not wrap.
        """
        shard, within = self.locate(block)
        end = int(self._row_ends[shard])
        start = end - int(self._shard_rows[shard]) + within * self._block_rows
        return start, min(start + self._block_rows, end)

    def block_of(self, row: int) -> int:
        """Returns the block that holds a row.

        Raises:
          IndexError: `row` is outside [0, number of rows); negatives do not wrap.
        """
        shard, within = _locate(self._row_ends, row, "row")
        return int(self._block_ends[shard] - self._shard_blocks[shard]) + within // self._block_rows


def _locate(ends: np.ndarray[Any, np.dtype[np.int64]], index: int, what: str) -> tuple[int, int]:
    total = int(ends[-1]) if len(ends) else 0
    if not 0 <= index < total:
        raise IndexError(f"{what} must be in [0, {total}), got {index}")
    shard = int(np.searchsorted(ends, index, side="right"))
    return shard, index - (int(ends[shard - 1]) if shard else 0)
