"""Probes: a few rows whose float32 embeddings the manifest keeps, as the tower gave them.

Anyone with the tower can check that it agrees with them, and anyone with the dataset can see what the stored type cost
(schemas/checking/receipt.py).

Promises: the choice depends on the rows alone, not on how they were split into pieces, so that a job that was killed
and resumed keeps the same ones. Memory holds at most `2 * most + 1` embeddings.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lit_precompute.schemas.manifest_parts import Probe, ShardInfo
from lit_precompute.schemas.storage import DatasetError

NUM_PROBES = 64


class ProbeSampler:
    """Keeps evenly spaced rows of a stream of unknown length: every `stride`-th, with a stride that doubles."""

    def __init__(self, most: int = NUM_PROBES):
        """Keeps at least `most` rows, or all if there are fewer."""
        self._most = most
        self._stride = 1
        self._num_rows = 0
        self._kept: list[Probe] = []

    def add(self, keys: Sequence[str], vectors: Any) -> None:
        """Adds the next rows: keys and embeddings [n, D]."""
        place = -self._num_rows % self._stride
        while place < len(keys):
            row = self._num_rows + place
            self._kept.append(Probe(row=row, key=keys[place], vector=encode_vector(vectors[place])))
            if len(self._kept) > 2 * self._most:
                # An odd number: the last row is kept, and is a multiple of the new stride.
                self._kept = self._kept[::2]
                self._stride *= 2
            place += self._stride
        self._num_rows += len(keys)

    def draw(self, most: int = NUM_PROBES) -> list[Probe]:
        """Returns up to `most` of the rows, evenly spaced among those kept."""
        count = min(most, len(self._kept))
        return [self._kept[place * len(self._kept) // count] for place in range(count)]


def share_of_shard(shard: int, num_shards: int) -> int:
    """Returns how many of a dataset's probes a shard contributes; over all shards the sum is `NUM_PROBES`."""
    first, end = (-(-number * NUM_PROBES // num_shards) for number in (shard, shard + 1))
    return end - first


def number_in_dataset(shards: Iterable[tuple[ShardInfo, Sequence[Probe]]]) -> list[Probe]:
    """Returns the probes of all shards in order, their rows numbered within the dataset instead of the shard."""
    probes: list[Probe] = []
    first_row = 0
    for info, own in shards:
        probes += [probe.model_copy(update={"row": first_row + probe.row}) for probe in own]
        first_row += info.num_rows
    return probes


def encode_vector(vector: Any) -> str:
    """Returns base64 of a vector's float32, little-endian."""
    return base64.b64encode(np.asarray(vector).astype("<f4").tobytes()).decode()


def decode_vector(probe: Probe, width: int) -> np.ndarray[Any, Any]:
    """Returns a probe's vector, float32 [width]; for format version 2 and later.

    Raises:
      DatasetError: the vector is not base64 of `width` finite numbers.
    """
    try:
        data = base64.b64decode(probe.vector, validate=True)
    except binascii.Error as error:
        raise DatasetError(f"probe of row {probe.row}: the vector is not base64 ({error})") from error
    if len(data) != 4 * width:
        raise DatasetError(f"probe of row {probe.row}: must hold {width} float32, {4 * width} bytes, got {len(data)}")
    vector = np.frombuffer(data, "<f4").astype(np.float32)
    if not np.isfinite(vector).all():
        raise DatasetError(f"probe of row {probe.row}: must be finite, got NaN or infinity")
    return vector
