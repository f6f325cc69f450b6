"""A random permutation of any number of rows, of which no list is kept: each row's new place is computed alone.

A Feistel network permutes the numbers of an even number of bits, whatever its round function; a number that falls
outside [0, size) is permuted again until it falls inside (cycle walking; Black and Rogaway, Ciphers with Arbitrary
Finite Domains, CT-RSA 2002), which takes less than four times on average.

Promises: the same seed and size give the same permutation on every machine. Not for cryptography.
"""

from typing import Any

import numpy as np

from lit_precompute.schemas import random_draws

_ROUNDS = 8

Rows = np.ndarray[Any, np.dtype[np.int64]]


class Permutation:
    """A permutation of 0 .. size - 1."""

    def __init__(self, seed: int, size: int):
        """Draws it.

        Raises:
          ValueError: the seed is negative.
        """
        if seed < 0:
            raise ValueError(f"--seed must be >= 0, got {seed}")
        self._size = size
        self._half = max(1, -(-max(size - 1, 1).bit_length() // 2))
        self._keys = [random_draws.make_key(seed, random_draws.SHUFFLED, number) for number in range(_ROUNDS)]

    def places(self, rows: Rows) -> Rows:
        """Returns where rows go; no two go to the same place.

        Raises:
          IndexError: a row is outside [0, size).
        """
        if rows.size and not 0 <= rows.min() <= rows.max() < self._size:
            raise IndexError(f"rows must be in [0, {self._size}), got {rows.min()} to {rows.max()}")
        places = self._permuted(rows.astype(np.uint64))
        while (outside := np.flatnonzero(places >= self._size)).size:
            places[outside] = self._permuted(places[outside])
        return places.astype(np.int64)

    def _permuted(self, numbers: random_draws.Draws) -> random_draws.Draws:
        half, mask = np.uint64(self._half), np.uint64((1 << self._half) - 1)
        left, right = numbers >> half, numbers & mask
        for key in self._keys:
            # The upper bits are the best mixed.
            drawn = random_draws.draw(key, right) >> np.uint64(64 - self._half)
            left, right = right, left ^ drawn
        return (left << half) | right
