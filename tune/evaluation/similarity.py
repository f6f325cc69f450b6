"""Similarity of images and their own texts under a tuned model, to select rows by.

Promises: the cosine of a row is computed in float64 from the model's embeddings, and depends on that row alone. Blank
texts do not count, and a row without any other text has no similarity.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from lit_precompute.schemas import EmbeddingDataset, RowBlock
from lit_precompute.schemas.sharing.selecting.finding import Scored
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import row_texts
from lit_precompute.tune.model.tuned_model import TunedModel


def score_by_similarity(
    model: TunedModel,
    dataset: EmbeddingDataset,
    *,
    of: Literal["best", "mean"],
    least: float | None,
    best_share: float | None,
) -> Scored:
    """Returns the similarity of a row's image and its texts as a score.

    Args:
      model: embeds images and texts.
      dataset: what is selected from.
      of: of several texts, the similarity of the best one or the mean of all.
      least: the least similarity.
      best_share: the share of rows with the highest similarity.

    Raises:
      TunedModelError: the dataset comes from a different tower than the model's.
      ValueError: the dataset has no captions.
    """
    model.check_goes_with(dataset)
    if "captions" not in dataset.tables:
        raise ValueError(f"{dataset.path}: similarity needs the table 'captions'; it has {list(dataset.tables)}")
    other = {} if dataset.embeddings == EMBEDDINGS else {"table": dataset.embeddings}
    return Scored(
        name="similarity",
        columns=("embedding", "texts"),
        score=lambda rows: similarities(model, rows, of),
        least=least,
        best_share=best_share,
        made_by={"model": model.digest, "of": of, **other},
    )


def similarities(model: TunedModel, rows: RowBlock, of: Literal["best", "mean"]) -> Float64[np.ndarray, " n"]:
    """Returns the cosine of each row's image and its best text, or the mean over its texts; NaN without texts."""
    texts = row_texts(rows["texts"], TextOptions())
    similarity = np.full(rows.num_rows, np.nan)
    owners: Int64[np.ndarray, " texts"] = np.repeat(np.arange(rows.num_rows), texts.counts)
    if not len(owners):
        return similarity
    with_texts = np.flatnonzero(texts.counts)
    images = np.empty((rows.num_rows, model.output_width))
    images[with_texts] = model.embed_images(rows.vectors()[with_texts])
    cosines = np.einsum("td,td->t", images[owners], model.embed_texts(texts.strings.to_pylist()), dtype=np.float64)
    # Texts of one row follow each other.
    starts = (np.cumsum(texts.counts) - texts.counts)[with_texts]
    if of == "best":
        similarity[with_texts] = np.maximum.reduceat(cosines, starts)
    else:
        similarity[with_texts] = np.add.reduceat(cosines, starts) / texts.counts[with_texts]
    return similarity
