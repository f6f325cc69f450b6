"""A writer that any producer can use: rows in, a finished dataset out.

Promises: the dataset's bytes depend on the rows and options alone; until `close` publishes the manifest, it is an
unfinished job. It does not resume: after a kill, write the rows again from the first.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lit_precompute.schemas.dataset_files import BLOCK_SUFFIX, BLOCKS_SUFFIX, dataset_folder
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.document import check_attachment_names, check_towers
from lit_precompute.schemas.manifest.environments import current_environment
from lit_precompute.schemas.manifest.parts import Environment, Note, ShardInfo, SourceInfo
from lit_precompute.schemas.probes import ProbeSampler
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, Folder
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS, TableSchema, embeddings_table, failures_table
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.schemas.vectors import VectorType
from lit_precompute.schemas.writing.publishing import publish_manifest
from lit_precompute.schemas.writing.shard_writer import ShardWriter
from lit_precompute.schemas.writing.table_writer import Columns

_SHARD = re.compile(rf"part-\d{{5,}}({re.escape(BLOCK_SUFFIX)}|{re.escape(BLOCKS_SUFFIX)})")


class DatasetWriter:
    """Writes rows into shards of `rows_per_shard`; use as a context manager.

    Example:
      with DatasetWriter(path, tower=card, source=info, tables=[captions_table()]) as writer:
          texts = [["a dog"], ["a cat", "a pet"]]
          writer.write(keys=["a", "b"], embeddings=vectors, columns={"captions": {"texts": texts}})
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | Folder,
        *,
        tower: TowerCard,
        source: SourceInfo,
        tables: Sequence[TableSchema] = (),
        other_towers: Mapping[str, TowerCard] | None = None,
        vector_type: VectorType = "float16",
        rows_per_shard: int = 65_536,
        block_rows: int = 1024,
        job: Mapping[str, Any] | None = None,
        environment: Environment | None = None,
    ):
        """Starts a dataset.

        Args:
          directory: where the dataset will be: a local path, a URL or a folder.
          tower: the tower that made the embeddings.
          source: what was embedded.
          tables: the tables other than `embeddings` and `failures`, which every dataset has.
          other_towers: the cards of further tables of embeddings among `tables`, those named `embeddings-NAME`.
          vector_type: type in which embeddings are stored.
          rows_per_shard: rows of each shard but the last.
          block_rows: rows of each block but a shard's last.
          job: options of the producer, as JSON.
          environment: what the embeddings were made with; None for this process, with an unknown device.

        Raises:
          DatasetError: the directory already contains a finished dataset, or a table cannot be among `tables`.
        """
        self._folder = dataset_folder(directory)
        if self._folder.exists(MANIFEST_NAME):
            raise DatasetError(
                f"{directory}: contains a finished dataset, and datasets never change; write to another directory"
            )
        self._given = list(tables)
        self._tables = [embeddings_table(tower.output_width, vector_type), *tables, failures_table()]
        self._towers = {EMBEDDINGS: tower, **(other_towers or {})}
        _check_tables(self._tables)
        check_towers("", self._tables, self._towers)
        self._folder.remove_folder(WORK_FOLDER)
        self._folder.remove_unfinished()
        _remove_shards(self._folder, self._tables)
        self._source, self._job = source, dict(job or {})
        self._rows_per_shard, self._block_rows = rows_per_shard, block_rows
        self._environment = environment or current_environment()
        self._finished: list[ShardInfo] = []
        self._probes = ProbeSampler()
        self._notes: list[Note] = []
        self._attachments: dict[str, bytes] = {}
        self._shard = self._new_shard()
        self._num_rows = 0

    def write(self, *, keys: Sequence[str], embeddings: Any, columns: Mapping[str, Columns] | None = None) -> None:
        """Adds rows.

        Args:
          keys: the rows' unique names.
          embeddings: [n, D].
          columns: the columns of each table in `tables`, without the key, by table and name.

        Raises:
          DatasetError: a table or column is missing or unknown, columns have unequal lengths, or a value does not fit.
        """
        columns = columns or {}
        self._check(keys, embeddings, columns)
        by_table: dict[str, Columns] = {EMBEDDINGS: {EMBEDDING: embeddings}, **columns}
        start = 0
        while start < len(keys):
            if self._num_rows == self._rows_per_shard:
                self._next_shard()
            stop = min(len(keys), start + self._rows_per_shard - self._num_rows)
            piece = {
                table: {name: values[start:stop] for name, values in own.items()} for table, own in by_table.items()
            }
            self._shard.append_rows(keys[start:stop], piece)
            self._num_rows += stop - start
            start = stop

    def fail(self, *, key: str, source: str, reason: str, message: str) -> None:
        """Records a row that could not be embedded, and why."""
        self._shard.append("failures", {"key": [key], "source": [source], "reason": [reason], "message": [message]})

    def note(self, what: str, *, first: str, count: int = 1) -> None:
        """Records that something was left out of the source, without losing a row: what, how often, and where first."""
        self._notes.append(Note(what=what, count=count, first=first))

    def attach(self, name: str, data: bytes) -> None:
        """Adds a small file that travels with the dataset, such as class names.

        Raises:
          DatasetError: the name is no file name, or given twice.
        """
        check_attachment_names("", {name: data})
        if name in self._attachments:
            raise DatasetError(f"attachment '{name}': given twice; choose another name")
        self._attachments[name] = data

    def close(self) -> Manifest:
        """Publishes the last shard and the manifest, and returns it."""
        self._finished.append(self._shard.finish())
        manifest = publish_manifest(
            self._folder,
            shards=self._finished,
            tables=self._tables,
            towers=self._towers,
            source=self._source,
            probes=self._probes.draw(),
            notes=self._notes,
            job=self._job,
            block_rows=self._block_rows,
            attachments=self._attachments,
        )
        self._folder.remove_folder(WORK_FOLDER)
        return manifest

    def __enter__(self) -> "DatasetWriter":
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Publishes the dataset; after an exception, removes its files instead."""
        if kind is None:
            self.close()
            return
        self._shard.abort()
        _remove_shards(self._folder, self._tables)

    def _check(self, keys: Sequence[str], embeddings: Any, columns: Mapping[str, Columns]) -> None:
        expected = [table.name for table in self._given]
        if set(columns) != set(expected):
            raise DatasetError(f"columns must be given for the tables {expected}, got {sorted(columns)}")
        lengths = {"keys": len(keys), "embeddings": len(embeddings)}
        lengths |= {f"{table}.{name}": len(values) for table, own in columns.items() for name, values in own.items()}
        if len(set(lengths.values())) != 1:
            raise DatasetError(f"columns must be equally long, got {lengths}")

    def _new_shard(self) -> ShardWriter:
        return ShardWriter(
            self._folder,
            shard=len(self._finished),
            tables=self._tables,
            block_rows=self._block_rows,
            probes=self._probes,
            environment=self._environment,
        )

    def _next_shard(self) -> None:
        self._finished.append(self._shard.finish())
        self._shard = self._new_shard()
        self._num_rows = 0


def _check_tables(tables: Sequence[TableSchema]) -> None:
    names = [table.name for table in tables]
    for table in tables[1:-1]:  # the first and the last are the writer's own
        if names.count(table.name) > 1:
            raise DatasetError(
                f"tables: names must differ, and the writer adds 'embeddings' and 'failures', got {names}"
            )
        if not table.aligned:
            raise DatasetError(f"tables: '{table.name}' must be aligned: one row for each of the dataset's rows")


def _remove_shards(folder: Folder, tables: Sequence[TableSchema]) -> None:
    """Removes what a writer that was killed or failed has left: its shards, by their names, and no other files."""
    for table in tables:
        names = [name for name in folder.find(table.name) if _SHARD.fullmatch(name)]
        folder.remove(*(f"{table.name}/{name}" for name in names))
