"""Writes one shard: a file for each table that has rows in it, complete or absent.

Promises: files are written locally, under names that no other attempt uses, and appear whole under their final names;
two attempts at the same rows give the same bytes, so that retries and duplicates do no harm.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from types import TracebackType

import pyarrow as pa

from lit_precompute.schemas.dataset_files import dataset_folder, shard_file_name
from lit_precompute.schemas.manifest.environments import current_environment
from lit_precompute.schemas.manifest.parts import Environment, FileInfo, Note, ShardInfo
from lit_precompute.schemas.probes import ProbeSampler
from lit_precompute.schemas.storage import DatasetError, Folder, file_sha256
from lit_precompute.schemas.storage.publishing import unique_name
from lit_precompute.schemas.tables import EMBEDDING, FAILURES, KEY, TableSchema, check_own_tables, is_embeddings
from lit_precompute.schemas.writing.table_writer import Columns, TableWriter


class ShardWriter:
    """Writes the tables of one shard.

    Use as a context manager: on leaving, temporary files that were not published are removed.

    Attributes:
      probes: keeps some rows' float32 embeddings for the manifest: only the writer sees them.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | Folder,
        *,
        shard: int,
        tables: Sequence[TableSchema],
        block_rows: int = 1024,
        probes: ProbeSampler | None = None,
        environment: Environment | None = None,
    ):
        """Starts a shard.

        Args:
          directory: the dataset: a local path, a URL or a folder.
          shard: number of the shard.
          tables: the shard's tables.
          block_rows: rows of every block but a table's last.
          probes: the sampler to use; None for the shard's own, whose row numbers are within the shard.
          environment: what the shard is made with; None for this process, with an unknown device.

        Raises:
          DatasetError: `block_rows` is not positive, or a table's name cannot be a folder of its own.
        """
        if block_rows < 1:
            raise DatasetError(f"block_rows must be >= 1, got {block_rows}")
        check_own_tables(tables)
        self._folder = dataset_folder(directory)
        self.probes = ProbeSampler() if probes is None else probes
        self._shard = shard
        self._environment = environment
        scratch = self._folder.scratch()
        self._writers = {
            table.name: TableWriter(scratch / unique_name(f"{table.name}-{shard:05d}"), table, block_rows)
            for table in tables
        }
        # A running hash of each aligned table's keys: alignment is checked without keeping them.
        self._keys = {table.name: hashlib.sha256() for table in tables if table.aligned}

    def append(self, table: str, columns: Columns) -> None:
        """Adds rows to one table, column by column, any number at a time."""
        self._writer(table).append(columns)
        if is_embeddings(table):
            self.probes.add(columns[KEY], columns[EMBEDDING], table)
        self._note_keys(table, columns[KEY])

    def append_stored(self, table: str, rows: pa.RecordBatch) -> None:
        """Adds rows to one table as they are stored, such as another dataset's; no probes are taken of them."""
        self._writer(table).append_stored(rows)
        self._note_keys(table, rows.column(KEY).to_pylist())

    def append_rows(self, keys: Sequence[str], columns: Mapping[str, Columns]) -> None:
        """Adds rows to every aligned table: their keys, and each table's other columns by table and name."""
        if set(columns) != set(self._keys):
            raise DatasetError(
                f"shard {self._shard}: columns must be given for the tables {list(self._keys)}, got {sorted(columns)}"
            )
        for table in self._keys:
            self.append(table, {KEY: keys, **columns[table]})

    def finish(self, notes: Sequence[Note] = ()) -> ShardInfo:
        """Closes, checks and publishes the files.

        Args:
          notes: what was left out of the shard's rows.

        Raises:
          DatasetError: the keys of aligned tables differ.
        """
        self._close()
        files = {table: self._publish(table, writer) for table, writer in self._writers.items() if writer.num_rows}
        num_rows = next((self._writers[name].num_rows for name in self._keys), 0)
        num_failures = self._writers[FAILURES].num_rows if FAILURES in self._writers else 0
        return ShardInfo(
            shard=self._shard,
            rows_read=num_rows + num_failures,
            num_rows=num_rows,
            num_failures=num_failures,
            files=files,
            environment=self._environment or current_environment(),
            notes=list(notes),
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

    def _writer(self, table: str) -> TableWriter:
        if table not in self._writers:
            raise DatasetError(f"shard {self._shard}: unknown table '{table}'; it has {sorted(self._writers)}")
        return self._writers[table]

    def _note_keys(self, table: str, keys: Sequence[str]) -> None:
        if table in self._keys:
            # One call for all keys: a call for each is half the time of writing rows that are stored already.
            self._keys[table].update("".join(f"{len(key)} {key}" for key in keys).encode())

    def _close(self) -> None:
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

    def _publish(self, table: str, writer: TableWriter) -> FileInfo:
        info = FileInfo(
            bytes=writer.path.stat().st_size,
            sha256=file_sha256(writer.path),
            num_rows=writer.num_rows,
            num_blocks=writer.num_blocks,
        )
        self._folder.upload(writer.path, shard_file_name(table, self._shard, writer.num_blocks))
        return info
