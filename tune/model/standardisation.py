"""Mean and deviation of a dataset's embeddings, fixed before training and saved with the tuned model.

Promises: one pass in bounded memory, sums in float64, the same bytes for the same dataset and rows.
A feature that hardly varies is not amplified: no deviation is smaller than `FLOOR` times the root mean square of all
features' deviations (1 where no feature varies at all), so that a dead feature stays near zero on new images.

Does not: apply them; the image side does.
"""

import numpy as np
from jaxtyping import Float64, Int64

from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks

FLOOR = 0.01


def vector_statistics(
    dataset: Blocks, rows: Int64[np.ndarray, " n"] | None = None
) -> tuple[Float64[np.ndarray, " width"], Float64[np.ndarray, " width"]]:
    """Returns (mean, deviation) over all rows, or over the rows with these ascending numbers.

    The deviation is the population's (divided by n). Blocks are merged as in Chan, Golub and LeVeque (1979), without
    differences of large sums.

    Raises:
      ValueError: no rows, or an embedding that is not finite.
    """
    count, mean, squares = 0, np.zeros(dataset.width), np.zeros(dataset.width)
    blocks = blocks_of_rows(dataset, rows).tolist()
    dataset.fetch_ahead(blocks, ["embedding"])
    for block in blocks:
        start, stop = dataset.block_span(block)
        chosen = slice(None)
        if rows is not None:
            first, last = np.searchsorted(rows, (start, stop))
            chosen = rows[first:last] - start
        vectors = dataset.read_block(block, ["embedding"]).vectors()[chosen].astype(np.float64)
        if not np.isfinite(vectors).all():
            row = start + int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise ValueError(
                f"{dataset.path}: near row {row}: embeddings must be finite; `lit-data verify` names the row"
            )
        block_mean = vectors.mean(axis=0)
        total = count + len(vectors)
        shift = block_mean - mean
        squares += np.square(vectors - block_mean).sum(axis=0) + np.square(shift) * (count * len(vectors) / total)
        mean += shift * (len(vectors) / total)
        count = total
    if not count:
        raise ValueError(f"{dataset.path}: no rows to standardise over")
    deviation = np.sqrt(squares / count)
    floor = FLOOR * np.sqrt(np.square(deviation).mean())
    return mean, np.maximum(deviation, floor if floor > 0 else 1.0)
