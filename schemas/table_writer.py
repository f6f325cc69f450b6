"""Writes one table's file of one shard, cutting rows into blocks of equal size."""

import pathlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from array_record.python.array_record_module import ArrayRecordWriter

from schemas import blocks
from schemas.errors import DatasetError
from schemas.tables import KEY, TableSchema
from schemas.vectors import to_arrow

# Columns by name: sequences of Python values, or NumPy arrays.
Columns = Mapping[str, Any]


class TableWriter:
    """Takes rows in pieces of any size; the file's bytes depend on the rows alone."""

    def __init__(self, path: pathlib.Path, table: TableSchema, block_rows: int):
        self.path = path
        self.num_rows = 0
        self.num_blocks = 0
        self._table = table
        self._schema = table.arrow_schema()
        self._block_rows = block_rows
        self._pending: list[pa.RecordBatch] = []
        self._num_pending = 0
        self._file = ArrayRecordWriter(str(path), blocks.WRITER_OPTIONS)

    def append(self, columns: Columns) -> None:
        """Adds rows, given column by column.

        Raises:
          DatasetError: other columns than the table's, columns of unequal length, or values that do not fit.
        """
        batch = self._batch(columns)
        self._pending.append(batch)
        self._num_pending += batch.num_rows
        self.num_rows += batch.num_rows
        while self._num_pending >= self._block_rows:
            self._write_block(self._block_rows)

    @property
    def closed(self) -> bool:
        """Whether the file is whole."""
        return not self._file.is_open()

    def close(self) -> None:
        """Writes the last, shorter block and closes the file."""
        if self._num_pending:
            self._write_block(self._num_pending)
        self._file.close()

    def discard(self) -> None:
        """Closes the file and removes it."""
        if self._file.is_open():
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _batch(self, columns: Columns) -> pa.RecordBatch:
        where = f"table '{self._table.name}'"
        if set(columns) != set(self._schema.names):
            raise DatasetError(f"{where}: columns must be {self._schema.names}, got {sorted(columns)}")
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) != 1:
            raise DatasetError(f"{where}: columns must be equally long, got {lengths}")
        arrays = [self._array(field, columns) for field in self._schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _array(self, field: pa.Field, columns: Columns) -> pa.Array:
        values = columns[field.name]
        if pa.types.is_fixed_size_list(field.type):
            return to_arrow(values, field, columns[KEY])
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

    def _write_block(self, num_rows: int) -> None:
        whole = pa.Table.from_batches(self._pending, schema=self._schema).combine_chunks()
        batch = whole.slice(0, num_rows).combine_chunks().to_batches()[0]
        self._file.write(blocks.encode(batch, compress=not self._table.holds_vectors))
        rest = whole.slice(num_rows)
        self._pending = rest.to_batches() if rest.num_rows else []
        self._num_pending -= num_rows
        self.num_blocks += 1
