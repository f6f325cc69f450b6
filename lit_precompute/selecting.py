"""Selecting rows as a function: what `lit-data select` does, from Python."""

from collections.abc import Callable

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selecting.finding import Found, Scored, find_rows
from lit_precompute.schemas.sharing.selecting.options import Criteria, make_criteria
from lit_precompute.schemas.sharing.selection import Selection


def select(
    dataset: EmbeddingDataset, criteria: Criteria, *, report: Callable[[int, int], object] = lambda done, total: None
) -> Selection:
    """Returns the rows of a dataset that satisfy all criteria, as a selection to save, combine or train on.

    Args:
      dataset: opened with the tables that the criteria read.
      criteria: what the rows have in common.
      report: called with the rows done and all of them.

    Raises:
      ValueError: a criterion does not fit the dataset, more keys are missing than may be, or a file cannot be read.
    """
    return find(dataset, criteria, report).selection


def find(dataset: EmbeddingDataset, criteria: Criteria, report: Callable[[int, int], object]) -> Found:
    """Returns what `select` does, and how many rows each criterion has left."""
    asked = make_criteria(criteria)
    return find_rows(dataset, asked, scored=_scored(dataset, criteria), sample=criteria.sample, report=report)


def _scored(dataset: EmbeddingDataset, criteria: Criteria) -> Scored | None:
    if criteria.model is None:
        return None
    from lit_precompute.tune.evaluation.similarity import score_by_similarity
    from lit_precompute.tune.model.tuned_model import TunedModel

    return score_by_similarity(
        TunedModel.load(criteria.model),
        dataset,
        of=criteria.similarity_of,
        least=criteria.min_similarity,
        best_share=criteria.best_share,
    )
