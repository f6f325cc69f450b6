"""Cosines of many rows with many others: a bound from the device, and the exact value where it matters.

Promises: a pair is decided by its cosine in float64, of the vectors as stored, rounded to 12 digits after the point, so
that equal vectors have 1. The device's float32 products only leave out pairs that are certainly below the threshold.
A row of zeros is similar to nothing: its cosines are 0.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Float64

_DIGITS = 12
_UNIT_ROUNDOFF = 2.0**-24  # of float32


class Tile(NamedTuple):
    """Consecutive rows, as stored and on the device.

    Attributes:
      first_row: number of the first row.
      vectors: as float32.
      unit: the same with unit norm, on the device, where the last row is repeated to fill the tile.
    """

    first_row: int
    vectors: Float32[np.ndarray, "n d"]
    unit: Float32[Array, "m d"]

    @classmethod
    def of(cls, first_row: int, vectors: Float32[np.ndarray, "n d"], tile_rows: int) -> Tile:
        """Returns a tile of at most `tile_rows` rows."""
        norms = _norms(vectors)
        unit = (vectors / np.where(norms == 0, 1, norms)[:, None]).astype(np.float32)
        fill = np.broadcast_to(unit[-1:], (tile_rows - len(unit), unit.shape[1]))
        return cls(first_row, vectors, jnp.asarray(np.concatenate([unit, fill])))

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.vectors)


class Largest(NamedTuple):
    """Largest cosines of two tiles' rows, still on their way from the device: of each row, and of each other row."""

    of_rows: Float32[Array, " n"]
    of_others: Float32[Array, " m"]


@jax.jit
def _largest(rows: Float32[Array, "n d"], others: Float32[Array, "m d"]) -> tuple[Array, Array]:
    cosines = jnp.matmul(rows, others.T, precision=jax.lax.Precision.HIGHEST)
    return cosines.max(axis=1), cosines.max(axis=0)


@jax.jit
def _largest_earlier(rows: Float32[Array, "n d"]) -> tuple[Array, Array]:
    cosines = jnp.matmul(rows, rows.T, precision=jax.lax.Precision.HIGHEST)
    cosines = jnp.where(jnp.tri(len(rows), k=-1, dtype=bool), cosines, -1)
    return cosines.max(axis=1), cosines.max(axis=0)


def largest(rows: Tile, others: Tile) -> Largest:
    """Starts the product of two tiles and returns at once; of a tile with itself, only earlier rows count as others."""
    found = _largest_earlier(rows.unit) if rows is others else _largest(rows.unit, others.unit)
    return Largest(found[0][: len(rows)], found[1][: len(others)])


@functools.cache
def margin(width: int) -> float:
    """Returns by how much a float32 cosine of rows of this width may differ from the exact one.

    The bound of any order of summation, width x unit roundoff x the product of the norms, and the roundings of both
    vectors to unit norm (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    terms = width + 8
    return terms * _UNIT_ROUNDOFF / (1 - terms * _UNIT_ROUNDOFF)


def exact_cosines(rows: Float32[np.ndarray, "n d"], others: Float32[np.ndarray, "m d"]) -> Float64[np.ndarray, "n m"]:
    """Returns all cosines of two sets of rows, as they decide."""
    scaled = [
        vectors.astype(np.float64) / np.where((norms := _norms(vectors)) == 0, 1, norms)[:, None]
        for vectors in (rows, others)
    ]
    return np.round(scaled[0] @ scaled[1].T, _DIGITS)


def similar_pairs(
    rows: Tile,
    others: Tile,
    found: Largest,
    threshold: float,
    left_out: Bool[np.ndarray, " n"] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs at or above the threshold: places of rows, and of the others; sorted by row, then other.

    Args:
      rows: a tile.
      others: another one; or the same, of which only pairs with an earlier other are returned.
      found: their largest cosines.
      threshold: the least cosine of a pair.
      left_out: rows that are not asked for.
    """
    least = threshold - margin(rows.vectors.shape[1])
    asked = np.asarray(found.of_rows) >= least
    near = np.flatnonzero(asked if left_out is None else asked & ~left_out)
    if not len(near):
        return near, near
    others_near = np.flatnonzero(np.asarray(found.of_others) >= least)
    hits = exact_cosines(rows.vectors[near], others.vectors[others_near]) >= threshold
    if rows is others:
        hits &= others_near[None, :] < near[:, None]
    places, other_places = np.nonzero(hits)
    return near[places], others_near[other_places]


def _norms(vectors: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Returns the rows' norms, in float64, which holds the square of any float32."""
    return np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
