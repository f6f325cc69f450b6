"""Scattering: the rows of some old shards, sorted by where they go, as one file from which each new shard reads a part.

    int64 [n + 1]   where the rows of each of the n new shards begin in the file, and where the last ones end
    int64 [n + 1]   likewise the failures
    for each new shard, if it has any of the rows: an Arrow record batch, without its schema
    likewise the failures

Memory: the rows of the old shards, twice.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.sharing.shuffling.plan import (
    PLACE,
    ShufflePlan,
    column_name,
    first_rows,
    values_of,
)
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import KEY, TableSchema

_HEADER_TYPE = np.dtype("<i8")


class ShardReader:
    """Reads whole shards of all tables of a dataset; keeps no file."""

    def __init__(self, path: str, plan: ShufflePlan):
        """Takes the dataset's path, and the plan that was made of it."""
        self._path, self._plan = path, plan
        folder = dataset_folder(path)
        locator = TableLocator(folder, plan.manifest.shards, plan.manifest.references)
        self._readers: dict[str, TableReader] = {}
        for table in plan.manifest.tables:
            files = locator.files(table)
            self._readers[table.name] = TableReader(files.folder, table, files)

    def rows(self, shard: int, places: np.ndarray) -> pa.Table:
        """Returns a shard's rows with their new places.

        Raises:
          DatasetError: a file is missing or damaged, or tables have different keys.
        """
        first, *others = [(table, self._read(table, shard)) for table in self._plan.aligned]
        keys = first[1].column(KEY)
        for table, rows in others:
            if not rows.column(KEY).equals(keys):
                raise DatasetError(
                    f"{self._path}: tables '{first[0].name}' and '{table.name}' have different keys in shard {shard}: "
                    "they have different rows; rewrite the wrong one"
                )
        columns = {
            column_name(table, name): rows.column(name) for table, rows in (first, *others) for name in values_of(table)
        }
        arrays = [pa.chunked_array([pa.array(places, pa.int64())]), keys, *columns.values()]
        return pa.Table.from_arrays(arrays, schema=self._plan.schema())

    def failures(self, table: TableSchema, shard: int) -> pa.Table:
        """Returns a shard's failures."""
        return self._read(table, shard)

    def close(self) -> None:
        """Closes all files."""
        for reader in self._readers.values():
            reader.close()

    def _read(self, table: TableSchema, shard: int) -> pa.Table:
        reader = self._readers[table.name]
        if not self._plan.manifest.shards.rows_of(table.name)[shard]:
            return reader.schema.empty_table()
        try:
            return reader.read_shard(shard)
        finally:
            reader.forget(shard)


def scatter(
    reader: ShardReader, plan: ShufflePlan, shards: range, tell: Callable[[int], None] = lambda num_rows: None
) -> Iterator[bytes | pa.Buffer]:
    """Yields the file of some old shards piece by piece; `tell` is called with numbers of rows that are read."""
    rows, failures = _rows_of(reader, plan, shards, tell), _failures_of(reader, plan, shards)
    parts = [*_cut(rows, plan), *_cut_failures(failures, plan, shards)]
    sizes = np.array([0 if part is None else part.size for part in parts])
    ends = 2 * (plan.num_shards + 1) * _HEADER_TYPE.itemsize + np.concatenate([[0], np.cumsum(sizes)])
    yield ends[: plan.num_shards + 1].astype(_HEADER_TYPE).tobytes()
    yield ends[plan.num_shards :].astype(_HEADER_TYPE).tobytes()
    yield from (part for part in parts if part is not None)


def places_in_header(shard: int, num_shards: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the ranges of bytes of a file that say where a new shard's rows are, and where its failures are."""
    starts = (shard, num_shards + 1 + shard)
    rows, failures = ((start * _HEADER_TYPE.itemsize, (start + 2) * _HEADER_TYPE.itemsize) for start in starts)
    return rows, failures


def decode_range(data: bytes) -> tuple[int, int]:
    """Returns the range of bytes that a part of the header tells."""
    start, stop = np.frombuffer(data, _HEADER_TYPE).tolist()
    return start, stop


def _rows_of(reader: ShardReader, plan: ShufflePlan, shards: range, tell: Callable[[int], None]) -> pa.Table:
    """Returns the rows of some old shards, sorted by their new places."""
    starts = first_rows(plan.manifest.shards.num_rows)
    pieces = [plan.schema().empty_table()]
    for shard in shards:
        num_rows = int(plan.manifest.shards.num_rows[shard])
        pieces.append(reader.rows(shard, plan.places(np.arange(num_rows) + starts[shard])))
        tell(num_rows)
    rows = pa.concat_tables(pieces)
    return rows.take(pa.array(np.argsort(rows.column(PLACE).to_numpy())))


def _failures_of(reader: ShardReader, plan: ShufflePlan, shards: range) -> pa.Table | None:
    table = plan.failures
    if table is None:
        return None
    return pa.concat_tables([table.arrow_schema().empty_table(), *(reader.failures(table, shard) for shard in shards)])


def _cut(rows: pa.Table, plan: ShufflePlan) -> Iterator[pa.Buffer | None]:
    """Yields the part of each new shard."""
    borders = np.arange(plan.num_shards + 1) * plan.rows_per_shard
    yield from _serialized(rows, np.searchsorted(rows.column(PLACE).to_numpy(), borders))


def _cut_failures(failures: pa.Table | None, plan: ShufflePlan, shards: range) -> Iterator[pa.Buffer | None]:
    if failures is None:
        yield from [None] * plan.num_shards
        return
    start = int(first_rows(plan.manifest.shards.num_failures)[shards.start])
    owners = plan.shards_of_failures(start + np.arange(failures.num_rows))
    yield from _serialized(failures, np.searchsorted(owners, np.arange(plan.num_shards + 1)))


def _serialized(rows: pa.Table, borders: np.ndarray) -> Iterator[pa.Buffer | None]:
    whole = rows.combine_chunks()
    batches = whole.to_batches()
    for start, stop in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        yield batches[0].slice(start, stop - start).serialize() if stop > start else None
