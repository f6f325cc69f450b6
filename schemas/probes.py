"""Probes: a few rows whose float32 embeddings the manifest keeps, as the tower gave them.

Anyone with the tower can check that it agrees with them, and anyone with the dataset can see what the stored type cost
(schemas/checking/receipt.py).

Promises: the choice depends on the rows alone, not on how they were split into pieces, so that a job that was killed
and resumed keeps the same ones. Memory holds at most `2 * most + 1` embeddings of each table.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lit_precompute.schemas.manifest.parts import Probe, ShardInfo
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDINGS

NUM_PROBES = 64


class ProbeSampler:
    """Keeps evenly spaced rows of a stream of unknown length: every `stride`-th, with a stride that doubles."""

    def __init__(self, most: int = NUM_PROBES):
        """Keeps at least `most` rows, or all if there are fewer."""
        self._most = most
        self._tables: dict[str, _KeptRows] = {}

    def add(self, keys: Sequence[str], vectors: Any, table: str = EMBEDDINGS) -> None:
        """Adds the next rows of a table: keys and embeddings [n, D]."""
        self._tables.setdefault(table, _KeptRows(self._most)).add(keys, vectors)

    def draw(self, most: int = NUM_PROBES) -> list[Probe]:
        """Returns up to `most` of the rows, evenly spaced among those kept; every table has been given all rows."""
        kept = {table: rows.kept for table, rows in self._tables.items()}
        num_kept = len(next(iter(kept.values()), []))
        count = min(most, num_kept)
        probes: list[Probe] = []
        for place in (number * num_kept // count for number in range(count)):
            rows = {table: of_table[place] for table, of_table in kept.items()}
            (row, key), *others = {(each.row, each.key) for each in rows.values()}
            assert not others, f"tables differ in row {row}"
            probes.append(Probe(row=row, key=key, vectors={table: each.vector for table, each in rows.items()}))
        return probes


class _KeptRow(NamedTuple):
    row: int
    key: str
    vector: str


class _KeptRows:
    """The rows of one table; which ones depends on their numbers alone, so that they are the same in every table."""

    def __init__(self, most: int):
        self._most = most
        self._stride = 1
        self._num_rows = 0
        self.kept: list[_KeptRow] = []

    def add(self, keys: Sequence[str], vectors: Any) -> None:
        place = -self._num_rows % self._stride
        while place < len(keys):
            self.kept.append(_KeptRow(self._num_rows + place, keys[place], encode_vector(vectors[place])))
            if len(self.kept) > 2 * self._most:
                # An odd number: the last row is kept, and is a multiple of the new stride.
                self.kept = self.kept[::2]
                self._stride *= 2
            place += self._stride
        self._num_rows += len(keys)


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


def decode_vector(probe: Probe, width: int, table: str = EMBEDDINGS) -> np.ndarray[Any, Any]:
    """Returns a probe's vector in a table, float32 [width]; for format version 2 and later.

    Raises:
      DatasetError: the vector is not base64 of `width` finite numbers.
    """
    try:
        data = base64.b64decode(probe.vectors[table], validate=True)
    except binascii.Error as error:
        raise DatasetError(f"probe of row {probe.row}: the vector is not base64 ({error})") from error
    if len(data) != 4 * width:
        raise DatasetError(f"probe of row {probe.row}: must hold {width} float32, {4 * width} bytes, got {len(data)}")
    vector = np.frombuffer(data, "<f4").astype(np.float32)
    if not np.isfinite(vector).all():
        raise DatasetError(f"probe of row {probe.row}: must be finite, got NaN or infinity")
    return vector
