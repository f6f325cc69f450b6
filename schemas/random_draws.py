"""Random numbers as pure functions of a seed and a position; there is no state.

Promises: the same arguments give the same numbers on every machine and with every version of NumPy, whose own
generators may change their streams. Keys come from its SeedSequence, which is guaranteed not to change.

Not for cryptography. Positions are 64-bit numbers, mixed by SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA
2014). It is a bijection: no two positions have the same draw under one key.
"""

from typing import Any

import numpy as np

# One number per use, so that blocks and texts, say, are drawn independently.
ROWS, BLOCKS, WINDOW, TEXTS, LEFT_OUT, SELECTED, SHUFFLED, FIELDS = range(8)
MIXTURE, DATASET, VIEWS = range(10, 13)

Draws = np.ndarray[Any, np.dtype[np.uint64]]


def make_key(seed: int, use: int, *numbers: int) -> int:
    """Returns a 64-bit key for one use of the seed; `numbers` are an epoch and, for some uses, a window."""
    return int(np.random.SeedSequence((seed, use, *numbers)).generate_state(1, np.uint64)[0])


def draw(key: int, positions: np.ndarray[Any, np.dtype[np.integer]]) -> Draws:
    """Returns a random number for each position."""
    bits = positions.astype(np.uint64)
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits += np.uint64(key)
    return mix(bits)


def mix(bits: Draws) -> Draws:
    """Mixes 64-bit numbers in place, each into another one, and returns them."""
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits
