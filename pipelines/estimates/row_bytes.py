"""How many bytes a dataset takes on disk, table by table: measured by writing some rows as the job would.

Not here: the manifest, which is less than a megabyte.
"""

import math
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lit_precompute.pipelines.embed.job import BLOCK_ROWS
from lit_precompute.precompute.sources.source import Example, columns_of
from lit_precompute.schemas import TableSchema, VectorType, embeddings_table
from lit_precompute.schemas.tables import EMBEDDING, KEY
from lit_precompute.schemas.writing.table_writer import TableWriter

# ArrayRecord, which shards of several blocks have, ends with a chunk of its own and fills the last one.
_CHUNK_BYTES = 1 << 16


def dataset_bytes(row_bytes: float, *, num_rows: int, num_shards: int) -> float:
    """Returns the bytes of all files of a table, of shards of equal length."""
    rows = num_rows / num_shards
    if rows <= BLOCK_ROWS:
        return num_rows * row_bytes
    return num_shards * (math.ceil(rows * row_bytes / _CHUNK_BYTES) + 1) * _CHUNK_BYTES


def table_bytes(table: TableSchema, keys: Sequence[str], columns: Mapping[str, Any]) -> float:
    """Returns the bytes of a row of a table, by a file of these rows."""
    with tempfile.TemporaryDirectory() as folder:
        writer = TableWriter(pathlib.Path(folder) / "table", table, BLOCK_ROWS)
        writer.append({KEY: keys, **columns})
        writer.close()
        return writer.path.stat().st_size / len(keys)


def vector_bytes(rows: Sequence[Example], width: int, vector_type: VectorType) -> float:
    """Returns the bytes of a row of the table of embeddings; what the vectors are makes no difference."""
    vectors = np.zeros((len(rows), width), np.float32)
    return table_bytes(embeddings_table(width, vector_type), [row.key for row in rows], {EMBEDDING: vectors})


def words_bytes(rows: Sequence[Example], tables: Sequence[TableSchema]) -> list[float]:
    """Returns the bytes of a row of each table of the source: texts, labels and whatever else it has."""
    keys = [row.key for row in rows]
    return [table_bytes(table, keys, columns_of(rows, table)) for table in tables]
