"""Rows that are held out of training, the paper's "minival": the first ones of a dataset, or of its selected rows.

Source: arXiv:2111.07991, appendix B: the first 50,000 image-text pairs of CC12M.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas.vectors import StoredVectors, numpy_type
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_source import Texts, TextSource


class HeldOut(NamedTuple):
    """Held-out images and all their texts, in memory.

    Attributes:
      images: embeddings as stored, of n images; some may have no text.
      texts: as a batch has them, m of them, those of an image one after the other.
      owners: the place of each text's image.
    """

    images: StoredVectors
    texts: Texts
    owners: Int64[np.ndarray, " m"]


def split_rows(
    dataset: Blocks, rows: Int64[np.ndarray, " n"] | None, num_held_out: int
) -> tuple[Int64[np.ndarray, " held_out"], Int64[np.ndarray, " rest"] | None]:
    """Returns the first of some ascending rows (None: of all), which are held out, and the others.

    Raises:
      ValueError: there are no others.
    """
    if not num_held_out:
        return np.zeros(0, np.int64), rows
    all_rows = np.arange(dataset.num_rows) if rows is None else rows
    if num_held_out >= len(all_rows):
        which = "rows" if rows is None else "selected rows"
        raise ValueError(
            f"data.held_out must be < the {len(all_rows):,} {which} of {dataset.path}, got {num_held_out:,}"
        )
    return all_rows[:num_held_out], all_rows[num_held_out:]


def read_held_out(dataset: Blocks, source: TextSource, rows: Int64[np.ndarray, " held_out"]) -> HeldOut:
    """Returns the images and texts of held-out rows.

    Raises:
      ValueError: fewer than two of them have a text.
    """
    numbers = np.empty((len(rows), dataset.width), numpy_type(dataset.vector_type))
    scales = np.empty(len(rows), np.float32) if dataset.vector_type == "int8" else None
    counts = np.zeros(len(rows), np.int64)
    blocks = blocks_of_rows(dataset, rows).tolist()
    dataset.fetch_ahead(blocks, ["embedding", *source.columns])
    kept = [source.empty_kept(0)]
    for block in blocks:
        start, stop = dataset.block_span(block)
        here = slice(*np.searchsorted(rows, (start, stop)))
        places = rows[here] - start
        stored = dataset.read_block(block, ["embedding"]).stored()
        numbers[here] = stored.numbers[places]
        if scales is not None and stored.scales is not None:
            scales[here] = stored.scales[places]
        counts[here], texts = source.read(block, places)
        kept.append(texts)
    if (num_with_texts := int((counts > 0).sum())) < 2:
        raise ValueError(
            f"{dataset.path}: at least two of the {len(rows):,} rows that data.held_out holds out must have a text, "
            f"got {num_with_texts}; hold out more, or none"
        )
    arrays = tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))
    return HeldOut(
        StoredVectors(numbers, scales),
        source.in_batch(source.from_kept(arrays)),
        np.repeat(np.arange(len(rows)), counts),
    )
