"""The receipt: what the stored type cost, measured on the rows whose float32 embeddings the manifest keeps.

Promises: computed in float64 from the dataset alone, so that anyone gets the same figures. Similarities closer than
1e-9 count as equal, and ties are broken by row order. An embedding of zeros is similar only to itself.
"""

import dataclasses
from typing import Any

import numpy as np

from lit_precompute.schemas.probes import decode_vector
from lit_precompute.schemas.reading.dataset import EmbeddingDataset

NUM_NEIGHBOURS = 10
_DECIMALS = 9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Receipt:
    """How close the stored embeddings are to the float32 ones.

    Attributes:
      num_probes: rows compared.
      mean_cosine: of stored to float32.
      least_cosine: of stored to float32.
      num_neighbours: nearest other probes compared for each probe: `NUM_NEIGHBOURS`, or all if there are fewer.
      num_nearest_changed: probes whose nearest neighbour is a different one.
      mean_overlap: share of the `num_neighbours` nearest that are still among the nearest.
      is_exact: whether the stored embeddings are the float32 ones, bit for bit.
    """

    num_probes: int
    mean_cosine: float
    least_cosine: float
    num_neighbours: int
    num_nearest_changed: int
    mean_overlap: float
    is_exact: bool


def make_receipt(dataset: EmbeddingDataset) -> Receipt | None:
    """Returns the receipt of the embeddings that a dataset was opened with; None if no float32 ones were kept.

    Raises:
      DatasetError: a probe is not a vector of the dataset's width.
    """
    probes = dataset.manifest.probes
    if dataset.manifest.format_version == 1 or not probes:
        return None
    exact = np.stack([decode_vector(probe, dataset.width, dataset.embeddings) for probe in probes])
    return compare(exact, dataset.take([probe.row for probe in probes], ["embedding"]).vectors())


def compare(exact: np.ndarray[Any, Any], stored: np.ndarray[Any, Any]) -> Receipt:
    """Returns the receipt of embeddings [n, D] and the same rows as stored, both as float32; n >= 1."""
    similarities = cosines(exact, stored)
    count = min(NUM_NEIGHBOURS, len(exact) - 1)
    before, after = nearest(exact, count), nearest(stored, count)
    shared = [len({*one} & {*other}) for one, other in zip(before.tolist(), after.tolist(), strict=True)]
    return Receipt(
        num_probes=len(exact),
        mean_cosine=float(similarities.mean()),
        least_cosine=float(similarities.min()),
        num_neighbours=count,
        num_nearest_changed=int((before[:, :1] != after[:, :1]).sum()),
        mean_overlap=float(np.mean(shared)) / count if count else 1.0,
        is_exact=exact.tobytes() == stored.tobytes(),
    )


def nearest(vectors: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Returns int64 [n, count]: for each row, the other rows of largest cosine, most similar first."""
    unit = _unit(vectors)
    similarities = np.round(unit @ unit.T, _DECIMALS)
    np.fill_diagonal(similarities, -np.inf)
    return np.argsort(-similarities, axis=1, kind="stable")[:, :count]


def cosines(some: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns float64 [n]: the cosine of each row of one [n, D] to the same row of the other; 1 for two of zeros."""
    both_zero = ~some.any(axis=1) & ~others.any(axis=1)
    return np.where(both_zero, 1.0, (_unit(some) * _unit(others)).sum(axis=1))


def _unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows = vectors.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
