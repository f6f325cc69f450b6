"""Pairs of rows to look at: those that a selection's `made_by` names, with their nearest rows, keys and texts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lit_precompute.pipelines.deduplicate.job import DeduplicateJob
from lit_precompute.pipelines.deduplicate.options import DeduplicateOptions
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.tables import KEY

_TEXTS = "texts"


class Example(NamedTuple):
    """A row to look at."""

    key: str
    texts: Sequence[str]


class ExamplePair(NamedTuple):
    """A row of the dataset and its nearest row: of an evaluation dataset, or an earlier one."""

    cosine: float
    row: Example
    other: Example


class Compared(NamedTuple):
    """One comparison: with an evaluation dataset at a path, or (None) within the dataset.

    `counts` are the selection's; `pairs` ascend by cosine.
    """

    path: str | None
    counts: Mapping[str, Any]
    pairs: Sequence[ExamplePair]


def find_examples(options: DeduplicateOptions, selection: Selection) -> list[Compared]:
    """Returns the comparisons that a selection is the result of; reads the embeddings of both sides once."""
    from lit_precompute.precompute.duplicates.resolving import nearest_pairs  # imports JAX

    options = options.with_absolute_paths()
    made_by = selection.made_by
    comparisons = [(number, path, made_by["against"][number]) for number, path in enumerate(options.against)]
    comparisons += [(None, None, made_by["within"])] if options.within else []
    job = DeduplicateJob.plan(options, [Manifest.read(path) for path in (options.dataset, *options.against)])
    compared: list[Compared] = []
    with job.comparer() as comparer:
        for number, path, counts in comparisons:
            found = nearest_pairs(comparer, np.array(counts["samples"], np.int64), number)
            found.sort(key=lambda pair: (pair.cosine, pair.row))
            rows = _examples(options.dataset, [pair.row for pair in found])
            others = _examples(path or options.dataset, [pair.other for pair in found])
            pairs = [ExamplePair(*each) for each in zip((pair.cosine for pair in found), rows, others, strict=True)]
            compared.append(Compared(path, counts, pairs))
    return compared


def _examples(path: str, rows: Sequence[int]) -> list[Example]:
    with EmbeddingDataset.open(path) as dataset:
        columns = [KEY, *({_TEXTS} & set(dataset.columns))]
        found = dataset.take(rows, columns).to_rows() if rows else []
    return [Example(row[KEY], row.get(_TEXTS, [])) for row in found]
