"""The files of a part of a dataset: copied where the part has the same rows, made anew where it has fewer.

Promises: a file that is made anew has the bytes that a writer gives to these rows, whoever makes it, and however often.
Files of format versions 1 and 2 get the names and containers of version 3; their blocks stay the same.
"""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from lit_precompute.schemas.dataset_files import check_file, read_attachments, shard_file_name
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import FileInfo, ShardFile, ShardInfo
from lit_precompute.schemas.reading.table_files import TableFiles, TableLocator
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.sharing.excerpt import COPIED_FROM, Excerpt, KeptShard
from lit_precompute.schemas.sharing.file_tasks import FileTask
from lit_precompute.schemas.sharing.transfer import scratch_file, transfer
from lit_precompute.schemas.storage import Batch, Folder, Receiver, file_sha256
from lit_precompute.schemas.tables import TableSchema
from lit_precompute.schemas.writing.publishing import publish_manifest
from lit_precompute.schemas.writing.table_writer import TableWriter


class ExcerptFiles:
    """The files that a part needs in its own folder.

    Attributes:
      described: which copy it is, for the destination's note.
      own_tables: the tables whose files are copied.
      origins: the numbers of the shards that they are of.
    """

    def __init__(self, source: Folder, manifest: Manifest, excerpt: Excerpt, target: Folder, receiver: Receiver):
        """Takes a dataset, its part, the folder of the part, and the connections to the dataset."""
        self._manifest, self._excerpt, self._target = manifest, excerpt, target
        self._source, self._receiver = source, receiver
        self._locator = TableLocator(source, manifest.shards, manifest.references)
        self._lock = threading.Lock()
        self._made: dict[tuple[str, int], FileInfo] = {}
        self.described: Mapping[str, Any] = {"digest": manifest.digest, **excerpt.part.recorded()}
        self.own_tables = [table for table in excerpt.tables if table.reference is None]
        self.origins = [shard.origin for shard in excerpt.shards]

    def tasks(self, table: TableSchema) -> Iterator[FileTask]:
        """Yields what has to be written of one table."""
        origin = self._manifest.table(table.name)
        files = self._locator.files(origin)
        for shard in self._excerpt.shards:
            file = files[shard.origin]
            if file is None or self._num_rows(table, shard, file) == 0:
                continue
            name, is_known = self._name(table, shard, file), not self._is_made(table, shard, file)

            def write(batch: Batch, shard: KeptShard = shard, file: ShardFile = file, name: str = name) -> None:
                if self._is_made(table, shard, file):
                    self._make(table, shard, file, files, batch, name)
                else:
                    transfer(files.folder, file.name, file.info, batch, name, self._receiver)

            yield FileTask(name=name, num_bytes=file.info.bytes, is_known=is_known, write=write)

    def is_of(self, found: Manifest) -> bool:
        """Returns whether a complete dataset is this part."""
        return found.job.get(COPIED_FROM) == self._excerpt.job()[COPIED_FROM]

    def publish(self) -> None:
        """Writes attachments, lists and the manifest, once all files are there."""
        manifest, excerpt = self._manifest, self._excerpt
        publish_manifest(
            self._target,
            shards=self._shard_infos(),
            tables=excerpt.tables,
            towers=excerpt.towers,
            source=manifest.source.info(),
            probes=excerpt.probes(),
            notes=excerpt.source_notes(),
            job=excerpt.job(),
            block_rows=manifest.block_rows,
            order=manifest.order,
            attachments=read_attachments(self._source, manifest.attachments),
            references=excerpt.references,
        )

    def _shard_infos(self) -> Iterator[ShardInfo]:
        """Yields the part's shards, once their files are there."""
        for shard in self._excerpt.shards:
            info = self._manifest.shards[shard.origin]
            files = {table.name: self._info(table, shard, info) for table in self._excerpt.tables}
            num_rows = info.num_rows if shard.rows is None else len(shard.rows)
            num_failures = info.num_failures if shard.rows is None else 0
            yield ShardInfo(
                shard=shard.number,
                rows_read=num_rows + num_failures,
                num_rows=num_rows,
                num_failures=num_failures,
                files={table: file for table, file in files.items() if file is not None},
                environment=info.environment,
                notes=self._excerpt.notes_of(shard),
            )

    def _info(self, table: TableSchema, shard: KeptShard, info: ShardInfo) -> FileInfo | None:
        if made := self._made.get((table.name, shard.number)):
            return made
        file = info.files.get(table.name)
        is_needed = table.reference is not None or (file is not None and file.num_rows)
        return file if is_needed and (table.aligned or shard.rows is None) else None

    def _num_rows(self, table: TableSchema, shard: KeptShard, file: ShardFile) -> int:
        if shard.rows is None:
            return file.info.num_rows
        return len(shard.rows) if table.aligned else 0

    def _name(self, table: TableSchema, shard: KeptShard, file: ShardFile) -> str:
        num_blocks = -(-self._num_rows(table, shard, file) // self._manifest.block_rows)
        return shard_file_name(table.name, shard.number, num_blocks)

    def _is_made(self, table: TableSchema, shard: KeptShard, file: ShardFile) -> bool:
        """Returns whether a file is made anew: rows are left out, or one block is in a container."""
        has_container = not file.is_one_block
        return shard.rows is not None or (has_container and file.info.num_blocks == 1)

    def _make(
        self, table: TableSchema, shard: KeptShard, file: ShardFile, files: TableFiles, batch: Batch, name: str
    ) -> None:
        reader = TableReader(files.folder, table, files)
        block_rows = self._manifest.block_rows
        try:
            check_file(files.folder.join(file.name), reader.local_path(shard.origin), file.info)
            with scratch_file(batch) as temporary:
                writer = TableWriter(temporary, table, block_rows)
                for block in range(file.info.num_blocks):
                    rows = reader.read(shard.origin, block)
                    if shard.rows is not None:
                        within = shard.rows - block * block_rows
                        rows = rows.take(within[(within >= 0) & (within < rows.num_rows)])
                    if rows.num_rows:
                        writer.append_stored(rows)
                writer.close()
                info = FileInfo(
                    bytes=temporary.stat().st_size,
                    sha256=file_sha256(temporary),
                    num_rows=writer.num_rows,
                    num_blocks=writer.num_blocks,
                )
                batch.upload(temporary, name)
        finally:
            reader.close()
        with self._lock:
            self._made[table.name, shard.number] = info
