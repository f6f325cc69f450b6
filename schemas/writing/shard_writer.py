"""Writes one shard: a file for each table, complete or absent.

Promises: files are written under names that no other attempt uses and appear by rename; two attempts at the same rows
give the same bytes, so that retries and duplicates do no harm.
"""

import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from types import TracebackType

from lit_precompute.schemas.manifest_parts import ShardInfo
from lit_precompute.schemas.probes import ProbeSampler
from lit_precompute.schemas.storage import DatasetError, temporary_path
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS, KEY, TableSchema
from lit_precompute.schemas.writing.publishing import publish_shard
from lit_precompute.schemas.writing.table_writer import Columns, TableWriter


class ShardWriter:
    """Writes the tables of one shard.

    Use as a context manager: on leaving, temporary files that were not published are removed.

    Attributes:
      probes: keeps some rows' float32 embeddings for the manifest: only the writer sees them.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        shard: int,
        num_shards: int | None = None,
        tables: Sequence[TableSchema],
        block_rows: int = 1024,
        probes: ProbeSampler | None = None,
    ):
        """Opens the temporary files.

        Args:
          directory: the dataset.
          shard: number of the shard.
          num_shards: the dataset's number of shards; may be given to `finish` instead.
          tables: the shard's tables.
          block_rows: rows of every block but a table's last.
          probes: the sampler to use; None for the shard's own, whose row numbers are within the shard.
        """
        if block_rows < 1:
            raise DatasetError(f"block_rows must be >= 1, got {block_rows}")
        self._directory = pathlib.Path(directory)
        self.probes = ProbeSampler() if probes is None else probes
        self._shard = shard
        self._num_shards = num_shards
        self._tables = {table.name: table for table in tables}
        self._writers: dict[str, TableWriter] = {}
        try:
            for name, table in self._tables.items():
                path = temporary_path(directory, f"{name}-{shard:05d}")
                self._writers[name] = TableWriter(path, table, block_rows)
        except OSError:
            self.abort()
            raise
        # A running hash of each aligned table's keys: alignment is checked without keeping them.
        self._keys = {name: hashlib.sha256() for name, table in self._tables.items() if table.aligned}

    def append(self, table: str, columns: Columns) -> None:
        """Adds rows to one table, column by column, any number at a time."""
        if table not in self._writers:
            raise DatasetError(f"shard {self._shard}: unknown table '{table}'; it has {sorted(self._writers)}")
        self._writers[table].append(columns)
        if table == EMBEDDINGS:
            self.probes.add(columns[KEY], columns[EMBEDDING])
        if table in self._keys:
            for key in columns[KEY]:
                self._keys[table].update(len(key).to_bytes(8, "little") + key.encode())

    def append_rows(self, keys: Sequence[str], columns: Mapping[str, Columns]) -> None:
        """Adds rows to every aligned table: their keys, and each table's other columns by table and name."""
        if set(columns) != set(self._keys):
            raise DatasetError(
                f"shard {self._shard}: columns must be given for the tables {list(self._keys)}, got {sorted(columns)}"
            )
        for table in self._keys:
            self.append(table, {KEY: keys, **columns[table]})

    def finish(self, num_shards: int | None = None) -> ShardInfo:
        """Closes, checks and publishes the files.

        Raises:
          DatasetError: the keys of aligned tables differ.
        """
        self.close()
        num_shards = self._num_shards if num_shards is None else num_shards
        assert num_shards is not None, "num_shards must be given to the writer or to finish"
        files = publish_shard(self._directory, self._writers, shard=self._shard, num_shards=num_shards)
        num_rows = self._num_aligned_rows()
        num_failures = sum(writer.num_rows for name, writer in self._writers.items() if name == "failures")
        return ShardInfo(
            shard=self._shard,
            rows_read=num_rows + num_failures,
            num_rows=num_rows,
            num_failures=num_failures,
            files=files,
        )

    def close(self) -> None:
        """Closes the temporary files and checks that aligned tables have the same keys."""
        for writer in self._writers.values():
            if not writer.closed:
                writer.close()
        rows = {name: self._writers[name].num_rows for name in self._keys}
        if len(set(rows.values())) > 1:
            raise DatasetError(f"shard {self._shard}: aligned tables must have equally many rows, got {rows}")
        if len({keys.digest() for keys in self._keys.values()}) > 1:
            raise DatasetError(
                f"shard {self._shard}: the keys of {sorted(self._keys)} differ; write the same rows to each"
            )

    def abort(self) -> None:
        """Removes the temporary files."""
        for writer in self._writers.values():
            writer.discard()

    def __enter__(self) -> "ShardWriter":
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes the files that were not published."""
        self.abort()

    def _num_aligned_rows(self) -> int:
        return next((self._writers[name].num_rows for name in self._keys), 0)
