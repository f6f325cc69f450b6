"""Several datasets of the same rows, each by another image tower: what they have in common, and what a model finds.

Promises: rows are told by their keys, so that towers of which different rows failed are compared on the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from lit_precompute.schemas import EmbeddingDataset, RowBlock
from lit_precompute.schemas.sharing.selected_rows import blocks_of
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import TEXTS, row_texts
from lit_precompute.tune.evaluation.fair_split import Row, Split
from lit_precompute.tune.evaluation.paired import Comparison, RowHits, chances, compare, row_hits
from lit_precompute.tune.model.tuned_model import TunedModel


class Queries(NamedTuple):
    """Held-out rows of a dataset: image embeddings as stored, all texts that are not blank, and whose they are."""

    keys: list[str]
    images: Float32[np.ndarray, "n d"]
    texts: list[str]
    owners: Int64[np.ndarray, " m"]

    @property
    def chances(self) -> dict[str, float]:
        """What a random ranking reaches of each figure."""
        return chances(np.bincount(self.owners, minlength=len(self.keys)))


def common_rows(datasets: Sequence[EmbeddingDataset]) -> dict[str, Row]:
    """Returns the rows that all datasets have, if they have a text; images are alike if all embeddings of them are."""
    found = [_rows(dataset) for dataset in datasets]
    first, *others = found
    keys = [key for key, (texts, _) in first.items() if texts and all(key in other for other in others)]
    return {key: Row(first[key][0], tuple(rows[key][1] for rows in found)) for key in keys}


def select_sides(dataset: EmbeddingDataset, split: Split) -> tuple[Selection, Selection]:
    """Returns the rows of a dataset to train on, and those that are held out."""
    places = {key: place for place, key in enumerate(_keys(dataset))}

    def select(keys: Sequence[str], side: str) -> Selection:
        rows = np.array(sorted(places[key] for key in keys), np.int64)
        return Selection.of_rows(dataset.manifest, rows, made_by={"choose": side})

    return select(split.trained_on, "trained on"), select(split.held_out, "held out")


def read_queries(dataset: EmbeddingDataset, held_out: Selection) -> Queries:
    """Returns the held-out rows, in the order of their keys."""
    keys: list[str] = []
    images: list[np.ndarray] = []
    texts: list[list[str]] = []
    for _, block in blocks_of(dataset, ["key", "embedding", TEXTS], held_out):
        keys += block["key"].to_pylist()
        images.append(block.vectors())
        texts += _texts(block)
    order = sorted(range(len(keys)), key=lambda place: keys[place])
    return Queries(
        [keys[place] for place in order],
        np.concatenate(images)[order],
        [text for place in order for text in texts[place]],
        np.repeat(np.arange(len(keys)), [len(texts[place]) for place in order]),
    )


def hits_of(model: TunedModel, queries: Queries, text_vectors: Float32[np.ndarray, "m w"] | None) -> RowHits:
    """Returns what a model finds.

    Args:
      model: tuned on the dataset of the queries.
      queries: held-out rows.
      text_vectors: embeddings of the texts by the frozen text tower that the model is over, if it is.
    """
    texts = model.embed_texts(queries.texts) if text_vectors is None else model.embed_text_vectors(text_vectors)
    return row_hits(model.embed_images(queries.images), texts, queries.owners)


def compare_runs(hits: Sequence[Sequence[RowHits]], *, seed: int) -> Comparison:
    """Returns the comparison of models, each with what its trainings find among the same rows.

    Args:
      hits: by model and training.
      seed: of the resampling.
    """
    counts = hits[0][0].counts
    assert all(np.array_equal(each.counts, counts) for runs in hits for each in runs), "all are asked the same"
    return compare(np.array([[each.hits for each in runs] for runs in hits]), counts, seed=seed)


def text_embedder(name: str) -> Callable[[Sequence[str]], Float32[np.ndarray, "n w"]]:
    """Returns what embeds texts by a frozen text tower; see `load_text_encoder`."""
    from lit_precompute.towers.text.encoder import load_text_encoder
    from lit_precompute.towers.text.encoder_options import TextEncoderOptions

    return load_text_encoder(TextEncoderOptions(name=name)).embed


def _rows(dataset: EmbeddingDataset) -> Mapping[str, tuple[list[str], bytes]]:
    found: dict[str, tuple[list[str], bytes]] = {}
    for _, block in blocks_of(dataset, ["key", "embedding", TEXTS], None):
        images = (hashlib.sha256(vector.tobytes()).digest() for vector in block.vectors())
        found |= dict(zip(block["key"].to_pylist(), zip(_texts(block), images, strict=True), strict=True))
    return found


def _keys(dataset: EmbeddingDataset) -> list[str]:
    return [key for _, block in blocks_of(dataset, ["key"], None) for key in block["key"].to_pylist()]


def _texts(block: RowBlock) -> list[list[str]]:
    """Returns the texts of each row of a block, without the blank ones."""
    found = row_texts(block[TEXTS], TextOptions())
    strings = iter(found.strings.to_pylist())
    return [[next(strings) for _ in range(count)] for count in found.counts]
