"""Random numbers as pure functions of a seed, an epoch and a position; there is no state.

Promises: the same arguments give the same numbers on every machine and with every version of NumPy, whose own
generators may change their streams. Keys come from its SeedSequence, which is guaranteed not to change.

Not for cryptography. Positions are 64-bit numbers, mixed by SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA
2014). It is a bijection: no two positions have the same draw under one key.
"""

import math

import numpy as np
from jaxtyping import Int, Int64, UInt64

# One number per use, so that blocks and texts, say, are drawn independently.
ROWS, BLOCKS, WINDOW, TEXTS, LEFT_OUT = range(5)


def make_key(seed: int, use: int, *numbers: int) -> int:
    """Returns a 64-bit key for one use of the seed; `numbers` are an epoch and, for some uses, a window."""
    return int(np.random.SeedSequence((seed, use, *numbers)).generate_state(1, np.uint64)[0])


def draw(key: int, positions: Int[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Returns a random number for each position."""
    bits = positions.astype(np.uint64)
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits += np.uint64(key)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def permutation(key: int, size: int) -> Int64[np.ndarray, " {size}"]:
    """Returns 0 .. size - 1 in random order."""
    # No two draws are equal, so every sorting algorithm gives the same order.
    return np.argsort(draw(key, np.arange(size)))


def choose(key: int, positions: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Returns one of 0 .. count - 1 for each position, uniformly to within count / 2**32."""
    upper = draw(key, positions) >> np.uint64(32)
    return ((upper * counts.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


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
