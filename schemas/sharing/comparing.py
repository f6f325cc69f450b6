"""Comparing two datasets: have they the same rows, and are their embeddings really of the same tower?

Promises: rows are paired by their keys, never by place; which rows are compared depends on the datasets alone. Memory:
32 bytes for each row of both datasets while keys are paired, then the rows that are compared.

Not here: whether files are sound (schemas/checking/).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from lit_precompute.schemas.checking.receipt import cosines
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDING, KEY

# int8, the coarsest stored type, costs 0.00012 (docs/format.md). Mirroring the image costs a hundred times as much.
SAME_COSINE = 0.999
_MAX_RUNS = 64  # a run is within a shard or two, and a shard in a store is fetched whole

Verdict = Literal["equal", "interchangeable", "different", "not comparable"]
_Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike the embeddings of common rows are.

    Attributes:
      num_rows: rows compared.
      num_equal: those whose stored numbers are equal.
      mean_cosine: of rows with one key.
      least_cosine: the least of these.
      least_key: the key of that row.
      unrelated_cosine: mean over pairs of rows with different keys, to compare with; None of a single row.
      norm_ratio: mean length of the second dataset's embeddings over that of the first's.
    """

    num_rows: int
    num_equal: int
    mean_cosine: float
    least_cosine: float
    least_key: str
    unrelated_cosine: float | None
    norm_ratio: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two datasets side by side.

    Attributes:
      table: the table of embeddings that is compared.
      num_rows: of each dataset.
      num_common: keys that both have.
      first_keys: of each dataset; None if it has no rows.
      is_same_dataset: whether the digests of the manifests are equal.
      is_same_table: whether both have the same bytes in the table.
      fingerprints: of each tower.
      model_identities: of each tower; None for a card that does not describe the network.
      differences: what differs between the cards: the first's value and the second's, by name.
      similarity: of common rows; None if there are none, or the widths differ.
    """

    table: str
    num_rows: tuple[int, int]
    num_common: int
    first_keys: tuple[str | None, str | None]
    is_same_dataset: bool
    is_same_table: bool
    fingerprints: tuple[str, str]
    model_identities: tuple[str | None, str | None]
    differences: dict[str, tuple[Any, Any]]
    similarity: Similarity | None

    @property
    def verdict(self) -> Verdict:
        """What the embeddings themselves say, whatever the cards say."""
        if self.similarity is None:
            return "not comparable"
        if self.similarity.num_equal == self.similarity.num_rows:
            return "equal"
        return "interchangeable" if self.similarity.least_cosine >= SAME_COSINE else "different"


def compare_datasets(
    one: EmbeddingDataset,
    other: EmbeddingDataset,
    *,
    max_rows: int = 10_000,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Returns how two datasets compare, each opened with the one table of embeddings that is meant.

    Args:
      one: the first.
      other: the second.
      max_rows: how many common rows are compared at most: up to 64 runs of rows, spread over the first dataset.
      report: called with the blocks whose keys were read, and all.

    Raises:
      DatasetError: a dataset is damaged.
    """
    table = one.embeddings
    cards = one.tower, other.tower
    pairs, first_keys = _common_rows(one, other, report)
    same_width = one.width == other.width
    return Comparison(
        table=table,
        num_rows=(one.num_rows, other.num_rows),
        num_common=len(pairs[0]),
        first_keys=first_keys,
        is_same_dataset=one.manifest.digest == other.manifest.digest,
        is_same_table=_table_digest(one) == _table_digest(other),
        fingerprints=(cards[0].fingerprint, cards[1].fingerprint),
        model_identities=(cards[0].model_identity, cards[1].model_identity),
        differences={**cards[0].identity_differences(cards[1]), **cards[0].preprocessing_differences(cards[1])},
        similarity=_similarity(one, other, pairs, max_rows) if same_width and len(pairs[0]) else None,
    )


def _table_digest(dataset: EmbeddingDataset) -> str:
    return dataset.manifest.table_digest(dataset.embeddings)


def _common_rows(
    one: EmbeddingDataset, other: EmbeddingDataset, report: Callable[[int, int], None]
) -> tuple[tuple[_Rows, _Rows], tuple[str | None, str | None]]:
    """Returns the rows of each dataset that have a common key, in the order of the first; and the first key of each."""
    total, hashes, first_keys = one.num_blocks + other.num_blocks, list[_Rows](), list[str | None]()
    for before, dataset in ((0, one), (one.num_blocks, other)):
        own, first_key = np.empty(dataset.num_rows, np.int64), None
        with EmbeddingDataset.open(dataset.path, tables=[dataset.manifest.smallest_table]) as keys:
            for block, rows in enumerate(keys.blocks(columns=[KEY])):
                if first_key is None and rows.num_rows:
                    first_key = rows[KEY][0].as_py()
                own[rows.first_row : rows.first_row + rows.num_rows] = [hash(key) for key in rows[KEY].to_pylist()]
                report(before + block + 1, total)
        hashes.append(own)
        first_keys.append(first_key)
    _, ours, theirs = np.intersect1d(*hashes, assume_unique=True, return_indices=True)
    order = np.argsort(ours)
    return (ours[order], theirs[order]), (first_keys[0], first_keys[1])


def _similarity(
    one: EmbeddingDataset, other: EmbeddingDataset, pairs: tuple[_Rows, _Rows], max_rows: int
) -> Similarity:
    chosen = _runs(len(pairs[0]), max_rows)
    ours, theirs = (
        dataset.take(rows[chosen], [KEY, EMBEDDING]) for dataset, rows in zip((one, other), pairs, strict=True)
    )
    if ours[KEY] != theirs[KEY]:
        raise DatasetError("two keys have one 64-bit hash; compare again, as the hashes differ in every process")
    some, others = ours.vectors(), theirs.vectors()
    similarities = cosines(some, others)
    least = int(similarities.argmin())
    lengths = (np.linalg.norm(vectors.astype(np.float64), axis=1).mean() for vectors in (others, some))
    return Similarity(
        num_rows=len(some),
        num_equal=int((some == others).all(axis=1).sum()),
        mean_cosine=float(similarities.mean()),
        least_cosine=float(similarities[least]),
        least_key=ours[KEY][least].as_py(),
        unrelated_cosine=float(cosines(some, np.roll(others, len(some) // 2, axis=0)).mean())
        if len(some) > 1
        else None,
        norm_ratio=float(next(lengths) / max(next(lengths), 1e-30)),
    )


def _runs(num_rows: int, max_rows: int) -> _Rows:
    """Returns up to `max_rows` of `num_rows` places, in evenly spread runs."""
    if num_rows <= max_rows:
        return np.arange(num_rows)
    num_runs = min(_MAX_RUNS, max_rows)
    starts = np.arange(num_runs) * num_rows // num_runs
    return (starts[:, None] + np.arange(max_rows // num_runs)).ravel()
