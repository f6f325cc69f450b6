"""Which blocks contain chosen rows; no other block is read or fetched."""

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.joined_dataset import Blocks


def blocks_of_rows(dataset: Blocks, rows: Int64[np.ndarray, " n"] | None) -> Int64[np.ndarray, " blocks"]:
    """Returns the numbers of the blocks that contain these rows, ascending; of all blocks for None."""
    if rows is None:
        return np.arange(dataset.num_blocks)
    starts = [dataset.block_span(block)[0] for block in range(dataset.num_blocks)]
    return np.unique(np.searchsorted(starts, rows, side="right") - 1)
