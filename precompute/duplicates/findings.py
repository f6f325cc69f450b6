"""What the comparison of one slab of rows has found, small enough to be stored beside thousands of others.

A histogram has bins of 0.01 from -1 to 1, of each row's nearest cosine as the device computes it: within 0.0001 of the
exact one. Of each bin some rows are kept to look at, drawn by a hash of their numbers, so that they depend on nothing
else.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Int64

from lit_precompute.schemas import random_draws

NUM_BINS = 200
_SAMPLES_PER_BIN = 4
# How far below the threshold rows are worth a look.
_REACH = 0.1
_KEY = 0  # any number: every selection of a dataset shows the same rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nearest:
    """Nearest cosines of many rows.

    Attributes:
      histogram: number of rows in each bin.
      samples: numbers of a few rows of each bin, ascending by bin.
    """

    histogram: Int64[np.ndarray, " bins"]
    samples: Int64[np.ndarray, " n"]
    sample_bins: Int64[np.ndarray, " n"]

    @classmethod
    def of(cls, rows: Int64[np.ndarray, " n"], cosines: Float[np.ndarray, " n"]) -> Nearest:
        """Returns what is kept of rows and their nearest cosines."""
        bins = np.clip(np.floor((cosines.astype(np.float64) + 1) * (NUM_BINS / 2)), 0, NUM_BINS - 1).astype(np.int64)
        return cls._drawn(np.bincount(bins, minlength=NUM_BINS), rows, bins)

    @classmethod
    def merged(cls, parts: Iterable[Nearest]) -> Nearest:
        """Returns what would be kept of all rows of several parts."""
        found = list(parts)
        rows, bins = (
            np.concatenate([np.zeros(0, np.int64), *(getattr(part, name) for part in found)])
            for name in ("samples", "sample_bins")
        )
        return cls._drawn(sum((part.histogram for part in found), np.zeros(NUM_BINS, np.int64)), rows, bins)

    @classmethod
    def _drawn(cls, histogram: np.ndarray, rows: np.ndarray, bins: np.ndarray) -> Nearest:
        order = np.lexsort((random_draws.draw(_KEY, rows), bins))
        starts = np.searchsorted(bins[order], bins[order])
        kept = order[np.arange(len(order)) - starts < _SAMPLES_PER_BIN]
        return cls(histogram=histogram, samples=rows[kept], sample_bins=bins[kept])

    def described(self, threshold: float) -> dict[str, Any]:
        """Returns the histogram, and numbers of rows to look at from a little below a threshold up, as JSON."""
        bins = np.flatnonzero(self.histogram).tolist()
        near = self.sample_bins >= math.floor((threshold - _REACH + 1) * (NUM_BINS / 2))
        return {
            "histogram": {
                f"{(number - NUM_BINS // 2) / (NUM_BINS // 2):.2f}": int(self.histogram[number]) for number in bins
            },
            "samples": np.sort(self.samples[near]).tolist(),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Against:
    """A slab compared with one evaluation dataset.

    Attributes:
      removed: numbers of the slab's rows that are similar to one of its rows, ascending.
      matched: numbers of its rows that are similar to one of the slab's, ascending.
      nearest: of the slab's rows.
    """

    removed: Int64[np.ndarray, " r"]
    matched: Int64[np.ndarray, " m"]
    nearest: Nearest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Within:
    """A slab compared with itself and all earlier rows of its dataset.

    Attributes:
      copies: rows that equal an earlier one of the slab, ascending.
      originals: the first row of the slab that each equals.
      rows: of each similar pair the later row, ascending; copies are in no pair as the later one.
      others: the earlier one; ascending for each row.
      nearest: of the slab's rows among the earlier ones.
    """

    copies: Int64[np.ndarray, " copies"]
    originals: Int64[np.ndarray, " copies"]
    rows: Int64[np.ndarray, " pairs"]
    others: Int64[np.ndarray, " pairs"]
    nearest: Nearest


_Part = TypeVar("_Part", Against, Within)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlabFindings:
    """All that was found for one slab; `num_zeros` of its rows are all zeros."""

    num_zeros: int
    against: tuple[Against, ...]
    within: Within | None

    def to_bytes(self) -> bytes:
        """Returns the findings as an npz file."""
        arrays: dict[str, Any] = {"num_zeros": np.int64(self.num_zeros)}
        for number, part in enumerate((*self.against, *filter(None, [self.within]))):
            name = "within" if part is self.within else f"against.{number}"
            for field in dataclasses.fields(part):
                value = getattr(part, field.name)
                inner = vars(value) if isinstance(value, Nearest) else {field.name: value}
                arrays |= {f"{name}.{each}": array for each, array in inner.items()}
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> SlabFindings:
        """Returns the findings that `to_bytes` was of."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            num_against = len({name.split(".")[1] for name in arrays if name.startswith("against.")})
            return cls(
                num_zeros=int(arrays["num_zeros"]),
                against=tuple(_read(Against, arrays, f"against.{number}") for number in range(num_against)),
                within=_read(Within, arrays, "within") if "within.rows" in arrays else None,
            )


def _read(kind: type[_Part], arrays: Mapping[str, Any], name: str) -> _Part:
    nearest = Nearest(**{each.name: arrays[f"{name}.{each.name}"] for each in dataclasses.fields(Nearest)})
    own = [each.name for each in dataclasses.fields(kind) if each.name != "nearest"]
    return kind(**{each: arrays[f"{name}.{each}"] for each in own}, nearest=nearest)
