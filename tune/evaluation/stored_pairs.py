"""Stored embeddings of a dataset's texts, in place of the frozen text tower that a model's head is over.

Promises: they are used only where they are what that tower would give: the same fingerprint, and one text a row at
most, which is the one that the table has.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import blocks_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDING, is_text_embeddings
from lit_precompute.tune.data.stored_texts import info_of
from lit_precompute.tune.data.texts import TEXTS
from lit_precompute.tune.model.tuned_model import TunedModel


def stored_text_embeddings(
    model: TunedModel,
    dataset: EmbeddingDataset,
    selection: Selection | None,
    counts: Int64[np.ndarray, " n"],
    field: str = TEXTS,
) -> Float32[np.ndarray, "texts d"] | None:
    """Returns the model's embeddings of the selected rows' texts, from a table; None if none has all of them.

    Args:
      model: the tuned model.
      dataset: the dataset.
      selection: the rows; None: all.
      counts: how many texts that are not blank each of these rows has.
      field: the column of the texts.
    """
    table = _table(model, dataset, field)
    if table is None or counts.max(initial=0) > 1:
        return None
    found = [np.zeros((0, model.output_width), np.float32)]
    with EmbeddingDataset.open(dataset.path, tables=[table]) as opened:
        first = 0
        for rows, block in blocks_of(opened, [TEXT_EMBEDDING], selection):
            vectors = block.vectors(TEXT_EMBEDDING)
            has_text = vectors.any(axis=1)
            if not np.array_equal(has_text, counts[first : first + len(rows)] > 0):
                return None
            found.append(model.embed_text_vectors(vectors[has_text]))
            first += len(rows)
    return np.concatenate(found)


def _table(model: TunedModel, dataset: EmbeddingDataset, field: str) -> str | None:
    """Returns the dataset's table of the first text of each row, by the model's frozen text tower; None if none is."""
    if model.frozen_text is None or model.frozen_text.tower is None:
        return None
    for table in dataset.manifest.tables:
        if is_text_embeddings(table.name) and table.aligned and (info := info_of(dataset, table.name)) is not None:
            is_same = info.tower.fingerprint == model.frozen_text.tower.fingerprint
            if is_same and (info.field, info.number) == (field, 1):
                return table.name
    return None
