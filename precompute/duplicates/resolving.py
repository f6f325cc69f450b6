"""From what was found slab by slab to the rows that stay, the counts, and pairs to look at.

Within a dataset a row is removed if an earlier row that stays is similar to it: so the first of each group stays, and
every removed row is similar to one that stays, however long a chain of similar rows is. Rows that are similar to an
evaluation dataset are removed before, and remove nothing themselves.

Memory: one byte for each row of the dataset and of the evaluation datasets, and the findings of one slab.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int64

from lit_precompute.precompute.duplicates.comparing import Comparer
from lit_precompute.precompute.duplicates.findings import Nearest, SlabFindings, Within
from lit_precompute.precompute.duplicates.tiles import exact_cosines

_NO_ROWS = np.zeros(0, np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgainstCounts:
    """What one evaluation dataset removes, as in the paper's Table 6.

    Attributes:
      removed: rows of the dataset ("#tune").
      matched: rows of the evaluation dataset ("#eval").
      nearest: cosines of the dataset's rows to the evaluation dataset.
    """

    removed: int
    matched: int
    nearest: Nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithinCounts:
    """What is removed because an earlier row stays; `num_groups` rows stay for others."""

    removed: int
    num_groups: int
    nearest: Nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Duplicates:
    """The result; `removed_against` counts rows once that several evaluation datasets remove."""

    stays: Bool[np.ndarray, " n"]
    num_zeros: int
    against: Sequence[AgainstCounts]
    removed_against: int
    within: WithinCounts | None


def resolve(num_rows: int, other_rows: Sequence[int], parts: Iterable[SlabFindings]) -> Duplicates:
    """Returns the result.

    Args:
      num_rows: of the dataset.
      other_rows: of each evaluation dataset.
      parts: the findings of all slabs, in order.
    """
    stays, groups = np.ones(num_rows, bool), np.zeros(num_rows, bool)
    matched = [np.zeros(count, bool) for count in other_rows]
    removed, num_zeros, removed_against = [0] * len(other_rows), 0, 0
    nearest: list[list[Nearest]] = [[] for _ in other_rows]
    within: list[Nearest] = []
    for part in parts:
        num_zeros += part.num_zeros
        for number, found in enumerate(part.against):
            stays[found.removed] = False
            matched[number][found.matched] = True
            removed[number] += len(found.removed)
            nearest[number].append(found.nearest)
        removed_against += len(np.unique(np.concatenate([_NO_ROWS, *(found.removed for found in part.against)])))
        if part.within is not None:
            _keep_first(part.within, stays, groups)
            within.append(part.within.nearest)
    counts = [
        AgainstCounts(removed=count, matched=int(rows.sum()), nearest=Nearest.merged(parts))
        for count, rows, parts in zip(removed, matched, nearest, strict=True)
    ]
    num_removed = num_rows - int(stays.sum()) - removed_against
    return Duplicates(
        stays=stays,
        num_zeros=num_zeros,
        against=counts,
        removed_against=removed_against,
        within=WithinCounts(removed=num_removed, num_groups=int(groups.sum()), nearest=Nearest.merged(within))
        if within
        else None,
    )


def _keep_first(found: Within, stays: Bool[np.ndarray, " n"], groups: Bool[np.ndarray, " n"]) -> None:
    """Removes copies, and the later row of each pair whose rows both stay; all earlier slabs are done."""
    # Whatever removes the original is as similar to the copy.
    stays_for_now = stays[found.copies]
    stays[found.copies] = False
    is_possible = stays[found.rows]
    for row, other in zip(found.rows[is_possible].tolist(), found.others[is_possible].tolist(), strict=True):
        if stays[row] and stays[other]:
            stays[row] = False
            groups[other] = True
    originals = found.originals[stays_for_now]
    groups[originals[stays[originals]]] = True


@dataclasses.dataclass(frozen=True)
class SimilarPair:
    """A row of the dataset and its nearest other row: of an evaluation dataset, or an earlier one."""

    row: int
    other: int
    cosine: float


def nearest_pairs(comparer: Comparer, rows: Int64[np.ndarray, " n"], other: int | None) -> list[SimilarPair]:
    """Returns each row's nearest row, in the order of the rows given; the first of several.

    Args:
      comparer: the datasets.
      rows: of the dataset.
      other: number of the evaluation dataset; None for earlier rows of the dataset itself, which row 0 has not.
    """
    if not len(rows):
        return []
    vectors = comparer.vectors(rows)
    best, places = np.full(len(rows), -2.0), np.zeros(len(rows), np.int64)
    for tile in comparer.tiles(other, before=int(rows.max()) if other is None else None):
        cosines = exact_cosines(vectors, tile.vectors)
        if other is None:
            cosines[tile.first_row + np.arange(len(tile))[None, :] >= rows[:, None]] = -2
        found = cosines.argmax(axis=1)
        largest = cosines[np.arange(len(rows)), found]
        places = np.where(largest > best, tile.first_row + found, places)
        best = np.maximum(best, largest)
    return [
        SimilarPair(int(row), int(place), float(cosine))
        for row, place, cosine in zip(rows, places, best, strict=True)
        if cosine >= -1
    ]
