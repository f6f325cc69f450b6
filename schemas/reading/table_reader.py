"""Reads one table of a dataset, block by block, from any thread."""

import collections
import pathlib
import threading
from collections.abc import Sequence

import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordReader

from lit_precompute.schemas import blocks
from lit_precompute.schemas.dataset_files import check_content, missing_file, shard_file_name
from lit_precompute.schemas.manifest.parts import ShardFile, ShardInfo
from lit_precompute.schemas.reading.as_opened import AsOpened
from lit_precompute.schemas.reading.local_copies import LocalCopies
from lit_precompute.schemas.storage import HOW_TO_MEND, DatasetError, Folder, is_url
from lit_precompute.schemas.tables import TableSchema

# Operating systems often allow 1,024 open files; several tables are read side by side.
_MAX_OPEN_FILES = 64
# Blocks are read one at a time, in any order: reading ahead would be wasted.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


def read_shard_table(folder: Folder, table: TableSchema, info: ShardInfo) -> pa.Table:
    """Returns one table of a finished shard, whose dataset may be unfinished.

    Raises:
      DatasetError: the file is missing, or damaged.
    """
    file = info.files.get(table.name)
    name = shard_file_name(table.name, info.shard, 0 if file is None else file.num_blocks)
    reader = TableReader(folder, table, [None if file is None else ShardFile(name, file)])
    try:
        return reader.read_shard(0)
    finally:
        reader.close()


class TableReader:
    """Blocks of one table, by (shard, block within it)."""

    def __init__(
        self,
        folder: Folder,
        table: TableSchema,
        files: Sequence[ShardFile | None],
        as_opened: AsOpened | None = None,
    ):
        """Opens nothing yet.

        Args:
          folder: of the dataset that has the files.
          table: the table.
          files: its files by shard.
          as_opened: the manifest that names them, of a finished dataset.
        """
        self._table, self._as_opened = table.name, as_opened
        self.schema = table.arrow_schema()
        self._folder = folder
        self._files = files
        self._copies = LocalCopies(folder)
        self._lock = threading.Lock()
        self._open: collections.OrderedDict[int, ArrayRecordReader] = collections.OrderedDict()

    def read(self, shard: int, block: int) -> pa.RecordBatch:
        """Returns one block.

        Raises:
          DatasetError: the file is missing, or was changed since the dataset was opened, or the bytes are damaged; the
            message names file and block.
        """
        file = self._file(shard)
        where = f"{self._folder.join(file.name)}: block {block}"
        try:
            data = self._read_whole(file, shard) if file.is_one_block else self._read_record(file, shard, block, where)
            return blocks.decode(data, self.schema, where)
        except DatasetError as error:
            if self._as_opened and (why := self._as_opened.why_changed(file, self._table, shard)):
                raise DatasetError(why) from error
            raise

    def read_shard(self, shard: int) -> pa.Table:
        """Returns all rows of a shard."""
        file = self._files[shard]
        batches = [] if file is None else [self.read(shard, block) for block in range(file.info.num_blocks)]
        return pa.Table.from_batches(batches, schema=self.schema)

    def local_path(self, shard: int) -> pathlib.Path:
        """Returns the local path of a shard's file, or of its copy.

        Raises:
          DatasetError: the file is missing; or it is in a store, and not the one that the manifest describes.
        """
        file = self._file(shard)
        path = self._copies.path(file)
        if not path.is_file():
            raise DatasetError(missing_file(self._folder.join(file.name)))
        return path

    def num_records(self, shard: int) -> int:
        """Returns how many blocks the file of a shard actually contains."""
        file = self._file(shard)
        if file.is_one_block:
            return 1
        with self._lock:
            return self._reader(file, shard).num_records()

    def forget(self, shard: int) -> None:
        """Closes the file of a shard, and removes its local copy if there is one."""
        with self._lock:
            if shard in self._open:
                self._open.pop(shard).close()
            self._copies.forget(self._file(shard))

    def close(self) -> None:
        """Closes the files; a later read opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
        self._copies.close()

    def _file(self, shard: int) -> ShardFile:
        file = self._files[shard]
        assert file is not None, f"shard {shard} has no rows in this table"
        return file

    def _read_whole(self, file: ShardFile, shard: int) -> bytes:
        """Returns the only block of a file, which has no checksum of its own."""
        data = self.local_path(shard).read_bytes()
        check_content(self._folder.join(file.name), data, file.info)
        return data

    def _read_record(self, file: ShardFile, shard: int, block: int, where: str) -> bytes:
        with self._lock:
            reader = self._reader(file, shard)
            try:
                return reader.read([block])[0]
            except (RuntimeError, IndexError) as error:
                raise DatasetError(f"{where}: damaged ({error}); verify the dataset and {HOW_TO_MEND}") from error

    def _reader(self, file: ShardFile, shard: int) -> ArrayRecordReader:
        reader = self._open.pop(shard, None)
        if reader is None:
            reader = ArrayRecordReader(str(self.local_path(shard)), _READER_OPTIONS)
            if not reader.ok():
                where = self._folder.join(file.name)
                raise DatasetError(f"{where}: not a complete ArrayRecord file; verify the dataset and {HOW_TO_MEND}")
            if self._as_opened and not is_url(self._folder.path):  # copies were compared with the manifest
                self._as_opened.check(file, self._table, shard)
            if len(self._open) >= _MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open[shard] = reader  # the most recently used comes last
        return reader
