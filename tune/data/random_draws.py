"""Random orders, choices and turns, as pure functions of a seed, an epoch and a position; there is no state.

They are made of the draws in `schemas.random_draws`, and as reproducible.
"""

import math

import numpy as np
from jaxtyping import Float, Int, Int64

from lit_precompute.schemas.random_draws import (
    BLOCKS,
    DATASET,
    FIELDS,
    LEFT_OUT,
    MIXTURE,
    ROWS,
    TEXTS,
    VIEWS,
    WINDOW,
    draw,
    make_key,
)

__all__ = [
    "BLOCKS",
    "DATASET",
    "FIELDS",
    "MIXTURE",
    "ROWS",
    "TEXTS",
    "VIEWS",
    "WINDOW",
    "choose",
    "choose_weighted",
    "draw",
    "left_out",
    "make_key",
    "permutation",
]


def permutation(key: int, size: int) -> Int64[np.ndarray, " {size}"]:
    """Returns 0 .. size - 1 in random order."""
    # No two draws are equal, so every sorting algorithm gives the same order.
    return np.argsort(draw(key, np.arange(size)))


def choose(key: int, positions: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Returns one of 0 .. count - 1 for each position, uniformly to within count / 2**32."""
    upper = draw(key, positions) >> np.uint64(32)
    return ((upper * counts.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def choose_weighted(
    key: int, positions: Int[np.ndarray, " n"], weights: Float[np.ndarray, "n k"]
) -> Int64[np.ndarray, " n"]:
    """Returns one of 0 .. k - 1 for each position, as often as its weight says, to within 2**-32.

    Args:
      key: see `make_key`.
      positions: what is drawn for.
      weights: of each number, >= 0; each row of them has a sum > 0, which need not be 1.
    """
    ends = np.cumsum(weights, axis=1)
    # 32 bits: so many that no product rounds up to the sum, after which there is no number, unless it is subnormal.
    shares = (draw(key, positions) >> np.uint64(32)).astype(np.float64) * 2.0**-32
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
    return np.minimum((ends <= (shares * ends[:, -1])[:, None]).sum(axis=1), last)


def left_out(seed: int, epoch: int, size: int, per_epoch: int) -> Int64[np.ndarray, " {per_epoch}"]:
    """Returns, ascending, the `per_epoch` of 0 .. size - 1 that an epoch leaves out so that its batches are full.

    They take turns: after any number of epochs, the counts of being left out differ by one at most. Those of one epoch
    are spread evenly over all (multiples of a step near the golden section).
    """
    assert 0 <= per_epoch < size < 2**32, (per_epoch, size)
    step = round(size * 0.618034)
    while math.gcd(step, size) != 1:
        step += 1
    start = (make_key(seed, LEFT_OUT) + epoch * per_epoch) % size
    turns = (np.arange(start, start + per_epoch, dtype=np.uint64)) % np.uint64(size)
    return np.sort((turns * np.uint64(step) % np.uint64(size)).astype(np.int64))
