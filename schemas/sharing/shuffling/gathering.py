"""Gathering: a new shard, from the parts of it that each scattered file has.

Memory: the rows of the shard, twice.
"""

import concurrent.futures
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.manifest.parts import ShardInfo
from lit_precompute.schemas.sharing.shuffling.plan import PLACE, ShufflePlan, column_name, values_of
from lit_precompute.schemas.sharing.shuffling.scattering import decode_range, places_in_header
from lit_precompute.schemas.storage import Folder, read_range
from lit_precompute.schemas.tables import KEY, TableSchema
from lit_precompute.schemas.writing.shard_writer import ShardWriter

_READERS = 32


def gather(folder: Folder, plan: ShufflePlan, shard: int, scattered: Sequence[str]) -> ShardInfo:
    """Writes a new shard.

    Args:
      folder: the new dataset.
      plan: the plan.
      shard: number of the new shard.
      scattered: paths or URLs of all scattered files, in order.
    """
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        parts = list(readers.map(lambda path: _read_parts(path, plan, shard), scattered))
    schema = plan.schema()
    rows = pa.Table.from_batches([batch for data, _ in parts for batch in _batches(data, schema)], schema=schema)
    rows = rows.take(pa.array(np.argsort(rows.column(PLACE).to_numpy())))
    expected = shard * plan.rows_per_shard + np.arange(plan.shard_rows(shard))
    assert np.array_equal(rows.column(PLACE).to_numpy(), expected), f"shard {shard}: rows are missing, or repeat"
    with ShardWriter(
        folder,
        shard=shard,
        tables=plan.tables,
        block_rows=plan.manifest.block_rows,
        environment=plan.environment(),
    ) as writer:
        for batch in rows.combine_chunks().to_batches(max_chunksize=plan.manifest.block_rows):
            for table in plan.aligned:
                writer.append_stored(table.name, _table_of(batch, table))
        if (table := plan.failures) is not None:
            for batch in (batch for _, data in parts for batch in _batches(data, table.arrow_schema())):
                writer.append_stored(table.name, batch)
        return writer.finish()


def _read_parts(path: str, plan: ShufflePlan, shard: int) -> tuple[bytes, bytes]:
    """Returns the bytes of a new shard's rows in a scattered file, and of its failures."""
    ranges = (decode_range(read_range(path, *place)) for place in places_in_header(shard, plan.num_shards))
    rows, failures = (read_range(path, start, stop) if stop > start else b"" for start, stop in ranges)
    return rows, failures


def _batches(data: bytes, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    if data:
        yield pa.ipc.read_record_batch(pa.py_buffer(data), schema)


def _table_of(batch: pa.RecordBatch, table: TableSchema) -> pa.RecordBatch:
    """Returns the columns of one table."""
    columns = [batch.column(column_name(table, name)) for name in values_of(table)]
    return pa.RecordBatch.from_arrays([batch.column(KEY), *columns], schema=table.arrow_schema())
