"""Weights and images that are the same on every machine: drawn from raw PCG64 bits, whose stream NumPy keeps.

Each array is seeded by its own name, so that neither order nor other arrays matter. Needs NumPy alone.
"""

import math
import zlib
from collections.abc import Mapping

import numpy as np


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns float32 uniform numbers of mean 0 and deviation 1."""
    size = math.prod(shape)
    bits = np.random.PCG64(zlib.crc32(name.encode())).random_raw((size + 1) // 2).view(np.uint32)[:size]
    unit = (bits >> 8).astype(np.float32) * np.float32(2.0**-23 * 3**0.5) - np.float32(3**0.5)
    return unit.reshape(shape)


def draw_images(name: str, count: int, side: int) -> np.ndarray:
    """Returns float32 [count, side, side, 3] in -1..1."""
    # The name is the seed: the goldens were made of these.
    return draw(f"{name} pictures", (count, side, side, 3)) / np.float32(3**0.5)


def draw_torch_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Returns parameters under torch's names that keep activations near deviation 1, also through many layers."""
    state: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        values = draw(name, shape)
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "running_var":
            values = 1 + values / 4
        elif len(shape) == 1 and leaf == "weight":
            values = 1 + values / 10
        elif leaf == "weight":
            values *= np.float32(math.prod(shape[1:]) ** -0.5)
        else:
            values /= 10
        state[name] = values
    return state
