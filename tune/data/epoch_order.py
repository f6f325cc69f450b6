"""The order of an epoch's rows: all rows permuted, or blocks permuted, grouped into windows, and permuted within them.

Promises: an order is a function of the seed, the epoch and the dataset's rows; nothing is kept between calls.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data import random_draws


class EpochPlan(NamedTuple):
    """An epoch's windows.

    Attributes:
      blocks: the numbers of the blocks that are read, in the epoch's order.
      borders: window w contains blocks[borders[w] : borders[w + 1]].
      starts: window w contains the positions [starts[w], starts[w + 1]) of the epoch's order.
      left_out: ranks of the rows that the epoch leaves out, ascending.
    """

    blocks: Int64[np.ndarray, " blocks"]
    borders: Int64[np.ndarray, " windows_and_end"]
    starts: Int64[np.ndarray, " windows_and_end"]
    left_out: Int64[np.ndarray, " n"]


def row_order(seed: int, epoch: int, num_rows: int, left_out: Int64[np.ndarray, " left"]) -> Int64[np.ndarray, " n"]:
    """Returns the ranks of an epoch's rows in its order, without those that it leaves out."""
    kept = np.delete(np.arange(num_rows), left_out)
    return kept[random_draws.permutation(random_draws.make_key(seed, random_draws.ROWS, epoch), len(kept))]


def plan_windows(
    seed: int,
    epoch: int,
    block_ranks: Int64[np.ndarray, " blocks_and_end"],
    left_out: Int64[np.ndarray, " left"],
    *,
    read_blocks: Int64[np.ndarray, " read"],
    num_windows: int,
) -> EpochPlan:
    """Returns an epoch's windows; the rows of block b have the ranks [block_ranks[b], block_ranks[b + 1]).

    Only `read_blocks` are in windows; all others have no rows.
    """
    key = random_draws.make_key(seed, random_draws.BLOCKS, epoch)
    blocks = read_blocks[random_draws.permutation(key, len(read_blocks))]
    owners = np.searchsorted(block_ranks, left_out, side="right") - 1
    num_rows = np.diff(block_ranks) - np.bincount(owners, minlength=len(block_ranks) - 1)
    borders = np.arange(num_windows + 1) * len(read_blocks) // num_windows
    starts = np.concatenate(([0], np.cumsum(num_rows[blocks])))[borders]
    return EpochPlan(blocks, borders, starts, left_out)


def window_order(seed: int, epoch: int, window: int, num_rows: int) -> Int64[np.ndarray, " num_rows"]:
    """Returns the order of a window's rows: a permutation of 0 .. num_rows - 1."""
    return random_draws.permutation(random_draws.make_key(seed, random_draws.WINDOW, epoch, window), num_rows)
