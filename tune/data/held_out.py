"""Rows that are held out of training, the paper's "minival": the first ones of a dataset, or of its selected rows.

Source: arXiv:2111.07991, appendix B: the first 50,000 image-text pairs of CC12M.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas.vectors import StoredVectors, numpy_type
from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.text_source import Arrays, ReadTexts, Texts
from lit_precompute.tune.data.texts import TEXTS


class HeldOut(NamedTuple):
    """Held-out images and all their texts of one field, in memory; shuffled ones in one order.

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


def read_held_out(dataset: Blocks, chosen: ChosenTexts, rows: Int64[np.ndarray, " held_out"]) -> HeldOut:
    """Returns the images of held-out rows, and their texts of the field `texts`, or of the first field without it.

    Raises:
      ValueError: fewer than two of them have a text.
    """
    numbers = np.empty((len(rows), dataset.width), numpy_type(dataset.vector_type))
    scales = np.empty(len(rows), np.float32) if dataset.vector_type == "int8" else None
    counts = np.zeros(len(rows), np.int64)
    blocks = blocks_of_rows(dataset, rows).tolist()
    dataset.fetch_ahead(blocks, ["embedding", *chosen.columns])
    field = TEXTS if TEXTS in chosen.names else chosen.names[0]
    source = chosen.sources[chosen.names.index(field)]
    texts = [source.empty_chosen(0)]
    for block in blocks:
        start, stop = dataset.block_span(block)
        here = slice(*np.searchsorted(rows, (start, stop)))
        places = rows[here] - start
        stored = dataset.read_block(block, ["embedding"]).stored()
        numbers[here] = stored.numbers[places]
        if scales is not None and stored.scales is not None:
            scales[here] = stored.scales[places]
        read = source.read(chosen.read_block(dataset, block), places)
        counts[here], own = _take_all(read, len(places), is_shuffled=field in chosen.options.shuffled_fields)
        texts.append(own)
    if (num_with_texts := int((counts > 0).sum())) < 2:
        raise ValueError(
            f"{dataset.path}: at least two of the {len(rows):,} rows that data.held_out holds out must have a text, "
            f"got {num_with_texts}; hold out more, or none"
        )
    arrays = tuple(np.concatenate(parts) for parts in zip(*texts, strict=True))
    return HeldOut(
        StoredVectors(numbers, scales),
        source.in_batch(arrays),
        np.repeat(np.arange(len(rows)), counts),
    )


def _take_all(read: ReadTexts, num_rows: int, *, is_shuffled: bool) -> tuple[Int64[np.ndarray, " n"], Arrays]:
    """Returns how many texts each row has, and all of them; shuffled ones are one text, in their first arrangement."""
    counts = read.counts(np.arange(num_rows))
    if is_shuffled:
        counts = np.minimum(counts, 1)
    ends = np.cumsum(counts)
    numbers = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
    return counts, read.take(np.repeat(np.arange(num_rows), counts), numbers)
