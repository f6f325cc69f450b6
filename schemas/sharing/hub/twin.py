"""The Parquet twin of a table: the same rows for the hub's viewer, `datasets` and pandas, one file for each shard.

Promises: memory is bounded by a block; a file appears whole or not at all, and is not written again. Vectors are lists
of float32, whatever type is stored, since few Parquet readers know smaller ones.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.schemas.dataset_files import TWIN
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.reading.row_block import RowBlock
from lit_precompute.schemas.storage.publishing import publish, temporary_beside
from lit_precompute.schemas.tables import KEY, ColumnSchema, TableSchema


def twin_names(manifest: Manifest, table: TableSchema) -> Iterator[tuple[int, str]]:
    """Yields the shards that have rows in a table, and the name of the twin's file of each."""
    for shard in np.flatnonzero(manifest.shards.rows_of(table.name)).tolist():
        yield shard, f"{TWIN}/{table.name}/part-{shard:05d}.parquet"


def write_twin(dataset: EmbeddingDataset, table: TableSchema, shard: int, path: pathlib.Path) -> None:
    """Writes one shard of an aligned table that is open in `dataset`; does nothing if the file is there.

    Raises:
      DatasetError: the shard is missing or damaged.
    """
    if path.exists():
        return
    columns = [column for column in table.columns if column.type != "scale"]
    schema = pa.schema([_field(column) for column in columns])
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_index=True) as writer:
            for block in _blocks_of(dataset.manifest, shard):
                rows = dataset.read_block(block, [column.name for column in columns])
                writer.write_table(pa.table([_values(rows, column) for column in columns], schema=schema))
        publish(temporary, path)


def write_failures(dataset: EmbeddingDataset, path: pathlib.Path) -> None:
    """Writes the rows that failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        pq.write_table(dataset.failures(), temporary, compression="zstd")
        publish(temporary, path)


def _blocks_of(manifest: Manifest, shard: int) -> range:
    """Returns the numbers of a shard's blocks in the dataset."""
    counts = -(-manifest.shards.num_rows[: shard + 1] // manifest.block_rows)
    return range(int(counts[:shard].sum()), int(counts.sum()))


def _field(column: ColumnSchema) -> pa.Field:
    if column.type == "vector":
        assert column.width is not None
        return pa.field(column.name, pa.list_(pa.float32(), column.width), nullable=False)
    return column.field()


def _values(rows: RowBlock, column: ColumnSchema) -> Any:
    if column.name == KEY or column.type != "vector":
        return rows[column.name]
    assert column.width is not None
    flat = pa.array(np.ascontiguousarray(rows.vectors(column.name)).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, column.width)
