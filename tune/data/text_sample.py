"""A bounded sample of a dataset's texts: what is said of texts before training must not need them all."""

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.texts import TextOptions, read_texts, row_texts

_MAX_BLOCKS = 64
_MAX_TEXTS = 4_096


def sample_texts(dataset: Blocks, options: TextOptions, rows: Int64[np.ndarray, " n"] | None = None) -> list[str]:
    """Returns up to 4,096 texts as they are tokenised, spread evenly over the dataset, or over these ascending rows.

    The same texts each time; none if those blocks have none.
    """
    blocks = _spread(blocks_of_rows(dataset, rows), _MAX_BLOCKS).tolist()
    per_block = _MAX_TEXTS // max(len(blocks), 1)
    dataset.fetch_ahead(blocks, ["texts"])
    found: list[str] = []
    for block in blocks:
        texts = read_texts(dataset, block)
        if rows is not None:
            start, stop = dataset.block_span(block)
            first, last = np.searchsorted(rows, (start, stop))
            texts = texts.take(rows[first:last] - start)
        strings = row_texts(texts, options).strings
        found += strings.take(_spread(np.arange(len(strings)), per_block)).to_pylist()
    return found


def _spread(values: np.ndarray, limit: int) -> np.ndarray:
    """Returns at most `limit` of some values, at even distances."""
    if len(values) <= limit:
        return values
    return values[np.arange(limit) * len(values) // limit]
