"""Arrays of weights files that are read when they are asked for, so that a file need not fit the memory at once.

Promises: an array's shape is known without reading it, and reading gives it whole; nothing that was read is kept, but
an array that is cut into several is read once for all of them, and kept only until the last is read.

Not here: the kinds of files (`reading`), and their names (`naming`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from lit_precompute.towers.weights.shapes import empty

Read = Callable[[], np.ndarray]


class StoredArray(NamedTuple):
    """An array by its shape, and a function that reads it."""

    shape: tuple[int, ...]
    read: Read

    def blank(self) -> Shaped[np.ndarray, "..."]:
        """Returns an array of this shape that takes no memory, to try on it what will be done to the array."""
        return np.broadcast_to(np.float32(0), self.shape) if 0 not in self.shape else empty(self.shape, np.dtype("f4"))


class StoredArrays(Mapping[str, Shaped[np.ndarray, "..."]]):
    """Stored arrays by name; each time that one is looked up it is read."""

    def __init__(self, stored: Mapping[str, StoredArray]):
        """Reads nothing."""
        self._stored = stored

    def __getitem__(self, name: str) -> Shaped[np.ndarray, "..."]:
        return self._stored[name].read()

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes by name."""
        return {name: stored.shape for name, stored in self._stored.items()}


def held(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> dict[str, StoredArray]:
    """Returns arrays that are in memory already as stored ones."""
    return {name: StoredArray(array.shape, lambda array=array: array) for name, array in arrays.items()}


def shared(read: Read, num_users: int) -> Read:
    """Returns the function for so many users that read once each: the first reads, and the last one lets go."""
    if num_users == 1:
        return read
    kept: list[np.ndarray] = []
    num_reads = 0

    def read_or_kept() -> np.ndarray:
        nonlocal num_reads
        array = kept.pop() if kept else read()
        num_reads += 1
        if num_reads % num_users:
            kept.append(array)
        return array

    return read_or_kept
