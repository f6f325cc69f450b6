"""Finds the rows that satisfy all criteria, by one pass over the blocks, and makes a selection of them.

Promises: memory is one bit for each row of the dataset, a block, and what a criterion holds; blocks in which no row can
match are not read. The best share and a random sample are taken of the rows that satisfy everything else, in this
order; both are exact, and functions of the dataset, the criteria and the seed. Scores are kept in a temporary file
until the best are known: 8 bytes a row.
"""

import collections
import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import numpy as np

from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.sharing.selecting.bits import BitWriter
from lit_precompute.schemas.sharing.selecting.choosing import Sample, draw_sample, keep_best
from lit_precompute.schemas.sharing.selecting.criteria import Criterion
from lit_precompute.schemas.sharing.selection import Mask, SelectedFrom, Selection
from lit_precompute.schemas.tables import KEY

Scores = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows by a score: those from a least one on, or the best share of them, or both.

    Attributes:
      name: what the score is, such as `similarity`.
      columns: what it is computed from.
      score: returns the scores of some rows, the higher the better; NaN for a row without one, which never matches.
      least: scores below it do not match.
      best_share: the share to keep, in (0, 1]: floor(share * n) of n rows with a score; of equal ones the first rows.
      made_by: what a selection says of the score, as JSON.
    """

    name: str
    columns: Sequence[str]
    score: Callable[[RowBlock], Scores]
    least: float | None
    best_share: float | None
    made_by: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A selection and how it came about.

    Attributes:
      selection: the rows.
      num_left: by criterion, in the order in which they were applied: how many rows were left after it.
      notes: sentences about what was asked for.
    """

    selection: Selection
    num_left: Mapping[str, int]
    notes: Sequence[str]


def find_rows(
    dataset: EmbeddingDataset,
    criteria: Sequence[Criterion],
    *,
    scored: Scored | None = None,
    sample: Sample | None = None,
    report: Callable[[int, int], object] = lambda done, total: None,
) -> Found:
    """Returns the rows that satisfy all criteria.

    Args:
      dataset: opened with the tables that the criteria read.
      criteria: what is asked about each row.
      scored: a score, computed only of rows that satisfy the criteria.
      sample: how many of the rows to draw in the end.
      report: called with the rows done and all of them.

    Raises:
      DatasetError: the dataset lacks what a criterion needs, more keys are missing than may be, or a sample is larger
        than what it is drawn from.
    """
    for criterion in criteria:
        criterion.check(dataset)
    # What is asked about every row comes first, what reads nothing second.
    criteria = sorted(criteria, key=lambda each: (not each.sees_all, bool(each.columns)))
    named = {each.name: each.made_by for each in criteria}
    names: list[str] = [*named, scored.name] if scored else [*named]
    num_left = collections.Counter(dict.fromkeys(names, 0))
    bits = BitWriter()
    with tempfile.TemporaryFile(prefix="lit-scores-") as scores:
        with _for_keys(dataset, criteria) as keys:
            _fetch_ahead(dataset, keys, criteria, scored)
            for block in range(dataset.num_blocks):
                mask = _match(dataset, keys, block, criteria, num_left)
                if scored is not None and mask.any():
                    _score(dataset, block, mask, scored, scores)
                    num_left[scored.name] += int(mask.sum())
                bits.append(mask)
                report(dataset.block_span(block)[1], dataset.num_rows)
            notes = [note for each in criteria for note in each.finish(keys)]
        found = Selection(dataset=SelectedFrom.of(dataset.manifest), bits=bits.finish(), made_by={})
        if scored is not None and scored.best_share is not None:
            found, least = keep_best(found, scored.best_share, scores)
            num_left[f"best-share of {scored.name}"] = found.num_selected
            notes += [] if least is None else [f"the least {scored.name} that is kept is {least:.6f}"]
    if sample is not None:
        found = draw_sample(found, sample, dataset.path)
        num_left["random"] = found.num_selected
    made_by: dict[str, Any] = {name: dict(describe()) for name, describe in named.items()}
    if scored is not None:
        made_by[scored.name] = {**scored.made_by, "least": scored.least, "best_share": scored.best_share}
    if sample is not None:
        made_by["random"] = dataclasses.asdict(sample)
    made_by = {"dataset": dataset.path, "criteria": made_by}
    return Found(selection=dataclasses.replace(found, made_by=made_by), num_left=num_left, notes=notes)


def _for_keys(
    dataset: EmbeddingDataset, criteria: Sequence[Criterion]
) -> contextlib.AbstractContextManager[EmbeddingDataset]:
    """Returns the dataset with the table alone from which keys are read fastest; the dataset if none need be."""
    if not any(each.sees_all for each in criteria):
        return contextlib.nullcontext(dataset)
    return EmbeddingDataset.open(dataset.path, tables=[dataset.manifest.smallest_table])


def _fetch_ahead(
    dataset: EmbeddingDataset, keys: EmbeddingDataset, criteria: Sequence[Criterion], scored: Scored | None
) -> None:
    """Begins to fetch what will be read of a dataset in a store: blocks in which a row can match."""
    free = [each for each in criteria if not each.columns]
    if any(each.sees_all for each in criteria):
        keys.fetch_ahead(range(dataset.num_blocks), [KEY])
    columns = sorted({column for each in criteria if not each.sees_all for column in each.columns})
    columns += scored.columns if scored is not None else []
    if columns:
        blocks = range(dataset.num_blocks)
        dataset.fetch_ahead(
            (block for block in blocks if _match(dataset, keys, block, free, collections.Counter()).any()), columns
        )


def _match(
    dataset: EmbeddingDataset,
    keys: EmbeddingDataset,
    block: int,
    criteria: Sequence[Criterion],
    num_left: collections.Counter[str],
) -> Mask:
    """Returns which rows of a block satisfy all criteria, and counts those that each of them leaves."""
    start, stop = dataset.block_span(block)
    mask = np.ones(stop - start, np.bool_)
    columns = sorted({column for each in criteria if not each.sees_all for column in each.columns})
    rows = RowBlock(start, stop - start, {})
    for criterion in criteria:
        if criterion.sees_all:
            mask &= criterion.matches(keys.read_block(block, [KEY]))
        elif mask.any():
            if criterion.columns and not rows.columns:
                rows = dataset.read_block(block, columns)
            mask &= criterion.matches(rows)
        num_left[criterion.name] += int(mask.sum())
    return mask


def _score(dataset: EmbeddingDataset, block: int, mask: Mask, scored: Scored, scores: IO[bytes]) -> None:
    """Clears the rows that have no score, or one below the least; notes the others' if the best are to be found."""
    places = np.flatnonzero(mask)
    rows = dataset.read_block(block, scored.columns)
    found = scored.score(rows if len(places) == rows.num_rows else rows.take(places))
    matched = ~np.isnan(found)
    if scored.least is not None:
        matched[matched] = found[matched] >= scored.least
    mask[places[~matched]] = False
    if scored.best_share is not None:
        scores.write(found[matched].tobytes())
