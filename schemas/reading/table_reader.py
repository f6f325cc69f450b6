"""Reads one table of a dataset, block by block, from any thread."""

import collections
import pathlib
import threading

import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordReader

from lit_precompute.schemas import blocks
from lit_precompute.schemas.manifest_parts import FileInfo
from lit_precompute.schemas.storage import HOW_TO_MEND, DatasetError
from lit_precompute.schemas.tables import TableSchema

# Operating systems often allow 1,024 open files; several tables are read side by side.
_MAX_OPEN_FILES = 64
# Blocks are read one at a time, in any order: reading ahead would be wasted.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


class TableReader:
    """Blocks of one table, by (shard, block within it)."""

    def __init__(self, directory: pathlib.Path, table: TableSchema, files: list[FileInfo]):
        """Checks that every file exists and has the size that the manifest states.

        Raises:
          DatasetError: a file is missing, or its size differs.
        """
        self.schema = table.arrow_schema()
        self._directory = directory
        self._files = files
        self._lock = threading.Lock()
        self._open: collections.OrderedDict[int, ArrayRecordReader] = collections.OrderedDict()
        for file in files:
            _check_size(directory / file.path, file)

    def read(self, shard: int, block: int) -> pa.RecordBatch:
        """Returns one block.

        Raises:
          DatasetError: the bytes are damaged; the message names file and block.
        """
        where = f"{self._directory / self._files[shard].path}: block {block}"
        with self._lock:
            reader = self._reader(shard)
            try:
                data: bytes = reader.read([block])[0]
            except (RuntimeError, IndexError) as error:
                raise DatasetError(f"{where}: damaged ({error}); verify the dataset and {HOW_TO_MEND}") from error
        return blocks.decode(data, self.schema, where)

    def num_records(self, shard: int) -> int:
        """Returns how many blocks the file of a shard actually contains."""
        with self._lock:
            return self._reader(shard).num_records()

    def close(self) -> None:
        """Closes the files; a later read opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _reader(self, shard: int) -> ArrayRecordReader:
        reader = self._open.pop(shard, None)
        if reader is None:
            path = self._directory / self._files[shard].path
            reader = ArrayRecordReader(str(path), _READER_OPTIONS)
            if not reader.ok():
                raise DatasetError(f"{path}: not a complete ArrayRecord file; verify the dataset and {HOW_TO_MEND}")
            if len(self._open) >= _MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open[shard] = reader  # the most recently used comes last
        return reader


def _check_size(path: pathlib.Path, file: FileInfo) -> None:
    if not path.is_file():
        raise DatasetError(f"{path}: the shard's file is missing; {HOW_TO_MEND}")
    size = path.stat().st_size
    if size != file.bytes:
        raise DatasetError(
            f"{path}: must have {file.bytes} bytes, got {size}; the file was truncated or changed: {HOW_TO_MEND}"
        )
