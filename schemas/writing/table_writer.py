"""Writes one table's file of one shard, cutting rows into blocks of equal size."""

import contextlib
import errno
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordWriter

from lit_precompute.schemas import blocks
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import KEY, TableSchema
from lit_precompute.schemas.vectors import to_arrow

# How array_record's errors begin: "write() failed: No space left on device; writing PATH; ...".
_REASON = re.compile(r"failed: ([^;]+)")
_ERRNO = {os.strerror(number): number for number in errno.errorcode}

# Columns by name: sequences of Python values, or NumPy arrays.
Columns = Mapping[str, Any]


class TableWriter:
    """Takes rows in pieces of any size; the file's bytes depend on the rows alone.

    A file of one block is that block; of several, ArrayRecord. Without rows there is no file.
    """

    def __init__(self, path: pathlib.Path, table: TableSchema, block_rows: int):
        """Creates no file yet: the first block is kept until it is known whether it is the only one."""
        self.path = path
        self.num_rows = 0
        self.num_blocks = 0
        self._table = table
        self._schema = table.arrow_schema()
        # Callers give no scales: they are computed from the vectors.
        self._given = [column.name for column in table.columns if column.type != "scale"]
        self._block_rows = block_rows
        self._pending: list[pa.RecordBatch] = []
        self._num_pending = 0
        self._first: bytes | None = None
        self._file: ArrayRecordWriter | None = None
        self.closed = False

    def append(self, columns: Columns) -> None:
        """Adds rows, given column by column.

        Raises:
          DatasetError: missing or unknown columns, columns of unequal length, or values that do not fit.
          OSError: the file cannot be written; a full disk may also show only in `close`.
        """
        num_rows = self._count(columns)
        start = 0
        while start < num_rows:
            stop = min(num_rows, start + self._block_rows - self._num_pending)
            # Slice before converting: Arrow writes a sliced array in different bytes from a whole one of equal values.
            self._pending.append(self._batch({name: values[start:stop] for name, values in columns.items()}))
            self._num_pending += stop - start
            if self._num_pending == self._block_rows:
                self._write_block()
            start = stop
        self.num_rows += num_rows

    def append_stored(self, batch: pa.RecordBatch) -> None:
        """Adds rows as another file of the table stores them, so that int8 vectors keep their scales.

        Raises:
          OSError: see `append`.
        """
        assert batch.schema.equals(self._schema, check_metadata=True), f"table '{self._table.name}': {batch.schema}"
        start = 0
        while start < batch.num_rows:
            stop = min(batch.num_rows, start + self._block_rows - self._num_pending)
            # Taken, not sliced: see `append`.
            self._pending.append(batch.take(pa.array(range(start, stop), pa.int64())))
            self._num_pending += stop - start
            if self._num_pending == self._block_rows:
                self._write_block()
            start = stop
        self.num_rows += batch.num_rows

    def close(self) -> None:
        """Writes the last, shorter block and closes the file."""
        if self._num_pending:
            self._write_block()
        if self._file is not None:
            with _os_errors(self.path):
                self._file.close()
        elif self._first is not None:
            self.path.write_bytes(self._first)
        self._first = None
        self.closed = True

    def discard(self) -> None:
        """Closes the file and removes it."""
        if self._file is not None and self._file.is_open():
            with contextlib.suppress(RuntimeError):  # on a full disk; the file is not needed
                self._file.close()
        self.path.unlink(missing_ok=True)

    def _count(self, columns: Columns) -> int:
        where = f"table '{self._table.name}'"
        if set(columns) != set(self._given):
            raise DatasetError(f"{where}: columns must be {self._given}, got {sorted(columns)}")
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) != 1:
            raise DatasetError(f"{where}: columns must be equally long, got {lengths}")
        return lengths[KEY]

    def _batch(self, columns: Columns) -> pa.RecordBatch:
        arrays: dict[str, pa.Array] = {}
        for name in self._given:
            field = self._schema.field(name)
            if pa.types.is_fixed_size_list(field.type):
                arrays |= to_arrow(columns[name], field, columns[KEY])
            else:
                arrays[name] = self._array(field, columns)
        return pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)

    def _array(self, field: pa.Field, columns: Columns) -> pa.Array:
        values = columns[field.name]
        try:
            array = pa.array(values, type=field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise DatasetError(
                f"table '{self._table.name}': column '{field.name}' takes {field.type}: {error}"
            ) from error
        if array.null_count:
            row = array.is_null().to_pylist().index(True)
            raise DatasetError(f"table '{self._table.name}': row '{columns[KEY][row]}' has no '{field.name}'")
        return array

    def _write_block(self) -> None:
        batch = pa.Table.from_batches(self._pending, schema=self._schema).combine_chunks().to_batches()[0]
        block = blocks.encode(batch, compress=not self._table.holds_vectors)
        if self.num_blocks == 0:
            self._first = block
        else:
            self._write(block)
        self._pending = []
        self._num_pending = 0
        self.num_blocks += 1

    def _write(self, block: bytes) -> None:
        with _os_errors(self.path):
            file = self._file = self._file or ArrayRecordWriter(str(self.path), blocks.WRITER_OPTIONS)
            if self._first is not None:
                file.write(self._first)
                self._first = None
            file.write(block)


@contextlib.contextmanager
def _os_errors(path: pathlib.Path) -> Iterator[None]:
    """Raises the OSError that the text of an array_record error names; it has no types of its own."""
    try:
        yield
    except RuntimeError as error:
        reason = _REASON.search(str(error))
        number = _ERRNO.get(reason[1]) if reason else None
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
