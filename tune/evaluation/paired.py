"""Recall of several models on the same rows, with intervals for each and for the difference of two.

Promises: every model is drawn with the same rows, so that what makes a row hard for all cancels in a difference. A row
is drawn with its image and all of its texts, since these are not independent of each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from lit_precompute.tune.evaluation.retrieval import KS, ranks
from lit_precompute.tune.evaluation.statistics import chance_of_a_hit

WAYS = ("image_to_text", "text_to_image")
# One for each way and k, then for each k the mean of both ways.
FIGURES = (*(f"{way}_recall_at_{k}" for way in WAYS for k in KS), *(f"mean_recall_at_{k}" for k in KS))
_OF_WAYS = len(WAYS) * len(KS)
_DRAWN_AT_ONCE = 1 << 22  # numbers in memory: 32 MB


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


class RowHits(NamedTuple):
    """What one model finds, by row.

    Attributes:
      hits: by way and k, how many of a row's queries (its image, its texts) find what belongs to them among k.
      counts: how many queries these are: 1, or the row's number of texts.
    """

    hits: Float64[np.ndarray, "figures n"]
    counts: Int64[np.ndarray, "figures n"]


def row_hits(
    images: Float[np.ndarray, "n d"], texts: Float[np.ndarray, "m d"], owners: Int64[np.ndarray, " m"]
) -> RowHits:
    """Returns the hits of each row; see `retrieval.ranks`.

    Args:
      images: embeddings of images, each of which has a text.
      texts: embeddings of texts.
      owners: the row of each text's image.
    """
    image_ranks, text_ranks = ranks(images, texts, owners)
    counts = np.bincount(owners, minlength=len(images))
    assert counts.all(), "a row without texts asks nothing"
    of_images = [(image_ranks < k).astype(np.float64) for k in KS]
    of_texts = [np.bincount(owners, weights=text_ranks < k, minlength=len(images)) for k in KS]
    ones = np.ones_like(counts)
    return RowHits(np.stack([*of_images, *of_texts]), np.stack([ones] * len(KS) + [counts] * len(KS)))


def chances(counts: Int64[np.ndarray, " n"]) -> dict[str, float]:
    """Returns what a random ranking reaches of each figure, for rows that have so many texts."""
    num_texts = int(counts.sum())
    by_image = [float(np.mean([chance_of_a_hit(num_texts, int(own), k) for own in counts])) for k in KS]
    by_text = [chance_of_a_hit(len(counts), 1, k) for k in KS]
    return dict(zip(FIGURES, _with_means(np.array([*by_image, *by_text])).tolist(), strict=True))


class Comparison(NamedTuple):
    """Figures of several models.

    Attributes:
      values: means over trainings, of all rows.
      draws: the same of resampled rows and trainings.
    """

    values: Float64[np.ndarray, "models figures"]
    draws: Float64[np.ndarray, "resamples models figures"]

    def estimate(self, model: int, figure: str) -> Estimate:
        """Returns a figure of a model, with its interval."""
        place = FIGURES.index(figure)
        return _estimate(self.values[model, place], self.draws[:, model, place])

    def difference(self, model: int, other: int, figure: str) -> Estimate:
        """Returns how much higher a model's figure is than another one's."""
        place = FIGURES.index(figure)
        draws = self.draws[:, model, place] - self.draws[:, other, place]
        return _estimate(self.values[model, place] - self.values[other, place], draws)


def compare(
    hits: Float64[np.ndarray, "models trainings figures n"],
    counts: Int64[np.ndarray, "figures n"],
    *,
    num_resamples: int = 4000,
    seed: int = 0,
) -> Comparison:
    """Returns figures of models that were trained several times each, and a bootstrap of them.

    Drawn with replacement are the rows, the same for all models, and each model's trainings. Intervals are percentiles
    of the draws. (With few trainings their share in the variance comes out smaller by the factor (t - 1) / t.)

    Args:
      hits: of `row_hits`.
      counts: of `row_hits`, which are the same for all.
      num_resamples: how often rows are drawn.
      seed: of the draws.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13.
    """
    num_models, num_trainings, num_figures, num_rows = hits.shape
    rng = np.random.default_rng(seed)
    flat = hits.reshape(-1, num_rows).T
    even = np.full(num_rows, 1 / num_rows), np.full(num_trainings, 1 / num_trainings)
    step = max(1, _DRAWN_AT_ONCE // num_rows)
    draws = np.empty((num_resamples, num_models, num_figures))
    for start in range(0, num_resamples, step):
        size = min(step, num_resamples - start)
        rows = rng.multinomial(num_rows, even[0], size=size).astype(np.float64)
        trainings = rng.multinomial(num_trainings, even[1], size=(size, num_models)) / num_trainings
        found = (rows @ flat).reshape(size, num_models, num_trainings, num_figures)
        asked = (rows @ counts.T)[:, None, :]
        draws[start : start + size] = np.einsum("rmtf,rmt->rmf", found, trainings) / asked
    values = hits.mean(axis=1).sum(axis=-1) / counts.sum(axis=-1)
    return Comparison(_with_means(values), _with_means(draws))


def _with_means(figures: Float64[np.ndarray, "... f"]) -> Float64[np.ndarray, "... g"]:
    """Returns figures of each way, and after them the means of both ways."""
    assert figures.shape[-1] == _OF_WAYS
    means = (figures[..., : len(KS)] + figures[..., len(KS) :]) / len(WAYS)
    return np.concatenate([figures, means], axis=-1)


def _estimate(value: float, draws: Float64[np.ndarray, " resamples"]) -> Estimate:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Estimate(float(value), float(low), float(high))
