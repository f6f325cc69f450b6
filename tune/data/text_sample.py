"""A bounded sample of a dataset's texts: what is said of texts before training must not need them all."""

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from lit_precompute.schemas.texts import join_texts
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import read_fields, row_texts

_MAX_BLOCKS = 64
_MAX_TEXTS = 4_096


def sample_texts(
    dataset: Blocks, options: TextOptions, rows: Int64[np.ndarray, " n"] | None = None
) -> dict[str, list[str]]:
    """Returns up to 4,096 texts of each field as they are tokenised, but for the order of shuffled ones.

    They are spread evenly over the dataset, or over these ascending rows: the same texts each time; none if those
    blocks have none.
    """
    blocks = _spread(blocks_of_rows(dataset, rows), _MAX_BLOCKS).tolist()
    per_block = _MAX_TEXTS // max(len(blocks), 1)
    dataset.fetch_ahead(blocks, options.field_names)
    found: dict[str, list[str]] = {field: [] for field in options.field_names}
    for block in blocks:
        for field, texts in read_fields(dataset, block, options.field_names, rows).items():
            strings = _as_tokenised(texts, options, field)
            found[field] += strings.take(_spread(np.arange(len(strings)), per_block)).to_pylist()
    return found


def _as_tokenised(texts: pa.ListArray, options: TextOptions, field: str) -> pa.Array:
    """Returns the texts of a field that are tokenised; of a shuffled one, each row's joined in order."""
    found = row_texts(texts, options, field)
    return join_texts(found.strings, found.counts, " ") if field in options.shuffled_fields else found.strings


def _spread(values: np.ndarray, limit: int) -> np.ndarray:
    """Returns at most `limit` of some values, at even distances."""
    if len(values) <= limit:
        return values
    return values[np.arange(limit) * len(values) // limit]
