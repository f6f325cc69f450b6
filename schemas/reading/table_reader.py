"""Reads one table of a dataset, block by block, from any thread."""

import collections
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordReader

from lit_precompute.schemas import blocks
from lit_precompute.schemas.dataset_files import check_content, shard_file_name
from lit_precompute.schemas.manifest.parts import ShardFile, ShardInfo
from lit_precompute.schemas.reading.as_opened import AsOpened
from lit_precompute.schemas.reading.files_here import Held, files_here
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


class _Open(NamedTuple):
    """A file of several blocks that is open."""

    reader: ArrayRecordReader
    held: Held

    def close(self) -> None:
        self.reader.close()
        self.held.close()


class TableReader:
    """Blocks of one table, by (shard, block within it)."""

    def __init__(
        self,
        folder: Folder,
        table: TableSchema,
        files: Sequence[ShardFile | None],
        as_opened: AsOpened | None = None,
        *,
        cached: bool = False,
    ):
        """Opens nothing yet.

        Args:
          folder: of the dataset that has the files.
          table: the table.
          files: its files by shard.
          as_opened: the manifest that names them, of a finished dataset.
          cached: whether files of a store are read from this machine's cache; otherwise each is fetched anew.
        """
        self._table, self._as_opened = table.name, as_opened
        self.schema = table.arrow_schema()
        self._folder = folder
        self._files = files
        self._here = files_here(folder, cached=cached)
        self._lock = threading.Lock()
        self._open: collections.OrderedDict[int, _Open] = collections.OrderedDict()

    def read(self, shard: int, block: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Returns one block, or these of its columns.

        Raises:
          DatasetError: the file is missing, or was changed since the dataset was opened, or the bytes are damaged; the
            message names file and block.
        """
        file = self._file(shard)
        try:
            try:
                return self._read(file, shard, block, columns)
            except DatasetError:
                if not self._here.discard_damaged(file):
                    raise
                self._close(shard)
                return self._read(file, shard, block, columns)
        except DatasetError as error:
            if self._as_opened and (why := self._as_opened.why_changed(file, self._table, shard)):
                raise DatasetError(why) from error
            raise

    def read_shard(self, shard: int) -> pa.Table:
        """Returns all rows of a shard."""
        file = self._files[shard]
        batches = [] if file is None else [self.read(shard, block) for block in range(file.info.num_blocks)]
        return pa.Table.from_batches(batches, schema=self.schema)

    @property
    def is_remote(self) -> bool:
        """Whether the files are in a store."""
        return is_url(self._folder.path)

    def num_bytes(self, shard: int) -> int:
        """Returns the size of a shard's file."""
        return self._file(shard).info.bytes

    def fetch(self, shard: int, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Fetches the file of a shard, if it is in a store and not yet here.

        Raises:
          DatasetError: the file is missing, or not the one that the manifest describes.
          FetchingStopped: `is_stopped` returned True.
        """
        self._here.fetch(self._file(shard), is_stopped)

    def local_path(self, shard: int) -> pathlib.Path:
        """Returns the local path of a shard's file, or of this reader's copy.

        Raises:
          DatasetError: the file is missing; or it is in a store, and not the one that the manifest describes.
        """
        held = self._here.hold(self._file(shard))
        held.close()
        return held.path

    def num_records(self, shard: int) -> int:
        """Returns how many blocks the file of a shard actually contains."""
        file = self._file(shard)
        if file.is_one_block:
            return 1
        with self._lock:
            return self._reader(file, shard).num_records()

    def forget(self, shard: int) -> None:
        """Closes the file of a shard, and removes this reader's copy if there is one."""
        self._close(shard)
        self._here.forget(self._file(shard))

    def close(self) -> None:
        """Closes the files; a later read opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
        self._here.close()

    def _close(self, shard: int) -> None:
        with self._lock:
            if shard in self._open:
                self._open.pop(shard).close()

    def _file(self, shard: int) -> ShardFile:
        file = self._files[shard]
        assert file is not None, f"shard {shard} has no rows in this table"
        return file

    def _read(self, file: ShardFile, shard: int, block: int, columns: Sequence[str] | None) -> pa.RecordBatch:
        where = f"{self._folder.join(file.name)}: block {block}"
        data = self._read_whole(file) if file.is_one_block else self._read_record(file, shard, block, where)
        return blocks.decode(data, self.schema, where, columns)

    def _read_whole(self, file: ShardFile) -> bytes:
        """Returns the only block of a file, which has no checksum of its own."""
        held = self._here.hold(file)
        try:
            data = held.path.read_bytes()
        finally:
            held.close()
        check_content(self._folder.join(file.name), data, file.info)
        return data

    def _read_record(self, file: ShardFile, shard: int, block: int, where: str) -> bytes:
        if shard not in self._open:
            self.fetch(shard)  # while others read what is open
        with self._lock:
            reader = self._reader(file, shard)
            try:
                return reader.read([block])[0]
            except (RuntimeError, IndexError) as error:
                raise DatasetError(f"{where}: damaged ({error}); verify the dataset and {HOW_TO_MEND}") from error

    def _reader(self, file: ShardFile, shard: int) -> ArrayRecordReader:
        opened = self._open.pop(shard, None)
        if opened is None:
            self._close_removed()
            opened = self._open_file(file, shard)
            if len(self._open) >= _MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        opened.held.touch()
        self._open[shard] = opened  # the most recently used comes last
        return opened.reader

    def _open_file(self, file: ShardFile, shard: int) -> _Open:
        held = self._here.hold(file)
        try:
            reader = ArrayRecordReader(str(held.path), _READER_OPTIONS)
            if not reader.ok():
                where = self._folder.join(file.name)
                raise DatasetError(f"{where}: not a complete ArrayRecord file; verify the dataset and {HOW_TO_MEND}")
            if self._as_opened and not is_url(self._folder.path):  # copies were compared with the manifest
                self._as_opened.check(file, self._table, shard)
        except BaseException:
            held.close()
            raise
        held.release()
        return _Open(reader, held)

    def _close_removed(self) -> None:
        """Closes the files that were removed to make room, which the disk keeps for as long as they are open."""
        for shard in [shard for shard, opened in self._open.items() if opened.held.is_removed]:
            self._open.pop(shard).close()
