"""Random views of a dataset's images: of each image one view's embedding is drawn in each epoch.

Promises: which view is a function of the seed, the epoch and the row's number, for rows in memory and in windows alike.
Of a block only the views are read that some row of it has drawn.

Source: arXiv:2111.07991, appendix B: Inception-style crops in training, plain resizes in evaluation. A dataset has a
number of such crops of each image (`lit-embed run --views N`), each in a table of its own beside the plain one.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64, UInt

from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.row_reader import RowReader


def draw_views(seed: int, epoch: int, row_numbers: Int64[np.ndarray, " n"], num_views: int) -> Int64[np.ndarray, " n"]:
    """Returns which of its views, from 0, each row has in an epoch."""
    key = random_draws.make_key(seed, random_draws.VIEWS, epoch)
    return random_draws.choose(key, row_numbers, np.full(len(row_numbers), num_views))


def read_drawn(
    reader: RowReader, block: int, ranks: Int64[np.ndarray, " n"], epoch: int
) -> tuple[UInt[np.ndarray, "n width"], Float32[np.ndarray, " n"] | None]:
    """Returns vectors and scales of rows of one block: of the views that are drawn in an epoch, if there are any."""
    row_numbers, images = reader.index.row_numbers[ranks], reader.vectors
    if not images.views:
        return images.read(block, row_numbers)
    views = draw_views(reader.seed, epoch, row_numbers, len(images.views))
    vectors, scales = images.empty(len(ranks)), images.empty_scales(len(ranks))
    for view in np.unique(views).tolist():
        here = np.flatnonzero(views == view)
        vectors[here], own_scales = images.read(block, row_numbers[here], view)
        if scales is not None:
            scales[here] = own_scales
    return vectors, scales
