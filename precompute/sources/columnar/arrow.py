"""Arrow files and streams: their record batches, read by columns.

Promises: looking reads the headers of the batches; of a batch only the needed columns are read; a batch whose contents
do not fit together is a `DamageError`. Memory holds the needed columns of one batch, which cannot be read in parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import types

from lit_precompute.precompute.sources.columnar.arrow_buffers import buffers_of
from lit_precompute.precompute.sources.columnar.arrow_messages import Message, Messages
from lit_precompute.precompute.sources.columnar.columns import Column, check_names, has_dictionary
from lit_precompute.precompute.sources.columnar.file import DamageError, Group, in_words

_BATCH_BYTES = 1 << 24
_MAX_BATCH_ROWS = 4096
_MAX_GAP_BYTES = 1 << 16
# Of one compressed buffer, whose length its first bytes claim.
_MAX_BUFFER_BYTES = 1 << 32
_SAME_LAYOUT = (
    (types.is_string, pa.binary()),
    (types.is_large_string, pa.large_binary()),
    (types.is_string_view, pa.binary_view()),
)


class ArrowFile:
    """See `ColumnarFile`. The groups are record batches, counted in bytes."""

    def __init__(self, stream: BinaryIO, path: str):
        """Reads the schema.

        Raises:
          DamageError: it is no Arrow file or stream, or damaged.
        """
        self._messages = Messages(stream, path)
        self._stream, self._path = stream, path
        self.num_bytes = self._messages.num_bytes
        self._headers = hashlib.sha256()
        first = next(self._messages.read(self._messages.start), None)
        if first is None or first.kind != "schema":
            raise DamageError(f"{path}: damaged: it does not begin with a schema")
        if first.is_big_endian:
            raise DamageError(f"{path}: written in the other byte order; write it again on a machine like this one")
        try:
            self.schema: pa.Schema = pa.ipc.read_schema(pa.py_buffer(first.header))
            check_names(self.schema)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise DamageError(f"{path}: damaged: a schema that cannot be read ({in_words(error)})") from error
        self._head = first.header
        self._has_dictionaries = any(has_dictionary(field.type) for field in self.schema)
        if not self._has_dictionaries:
            self._head = (
                pa.schema([each.with_type(_with_bytes(each.type)) for each in self.schema]).serialize().to_pybytes()
            )
        self._searched, self._dictionaries = self._messages.start, list[bytes]()

    @property
    def content(self) -> str:
        """See `ColumnarFile`: a hash of the headers that have been read."""
        return self._headers.hexdigest()

    def groups(self, start: int, stop: int | None) -> Iterator[Group]:
        """Yields the record batches that begin in [start, stop); all up to `stop`, if `start` is 0."""
        for message in self._messages.read(start or self._messages.start, stop):
            self._headers.update(message.header)
            if message.kind == "batch":
                yield Group(message.start, message.stop, message.num_rows, f"record batch at byte {message.start:,}")

    def batches(self, group: Group, columns: Sequence[Column], skip: int, take: int) -> Iterator[pa.RecordBatch]:
        """See `ColumnarFile`."""
        names = {column.top for column in columns}
        (message,) = self._messages.read(group.start, group.stop)
        data = self._read(message, names)
        self._check_lengths(message, data.data[len(data) - (message.stop - message.data_start) :])
        try:
            batch = self._parse(message, names, data)
        except (pa.ArrowException, ValueError, OSError, OverflowError, KeyError, NotImplementedError) as error:
            if isinstance(error, MemoryError):
                raise
            raise DamageError(f"{self._path}, {group.place}: damaged ({in_words(error)})") from error
        rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES * max(batch.num_rows, 1) // max(batch.nbytes, 1)))
        for start in range(skip, skip + take, rows):
            yield batch.slice(start, min(rows, skip + take - start))

    def _read(self, message: Message, names: set[str]) -> np.ndarray:
        """Returns the columns of a batch, as a stream made of the schema, the dictionaries and that batch alone."""
        dictionaries = self._dictionaries_before(message.start) if self._has_dictionaries else []
        head = b"".join([self._head, *dictionaries, message.header])
        # Untouched pages of zeros take no memory: the data of columns that are not needed.
        data = np.zeros(len(head) + message.stop - message.data_start, np.uint8)
        data[: len(head)] = np.frombuffer(head, np.uint8)
        for first, last in self._needed(message, names):
            self._stream.seek(message.data_start + first)
            found = self._stream.read(last - first)
            if len(found) < last - first:
                raise DamageError(f"{self._path}, byte {message.start:,}: damaged: the file ends within a batch")
            data[len(head) + first : len(head) + last] = np.frombuffer(found, np.uint8)
        return data

    def _parse(self, message: Message, names: set[str], data: np.ndarray) -> pa.RecordBatch:
        """Returns the columns of a batch, checked.

        Raises:
          ValueError: they do not fit together; also what the library raises.
        """
        indices = [index for index, field in enumerate(self.schema) if field.name in names]
        options = pa.ipc.IpcReadOptions(included_fields=indices, use_threads=False)
        batch = pa.ipc.open_stream(pa.py_buffer(data), options=options).read_next_batch()
        batch.validate(full=True)
        if batch.num_rows != message.num_rows:
            raise ValueError(f"a batch of {batch.num_rows:,} rows that claims {message.num_rows:,}")
        return batch

    def _needed(self, message: Message, names: set[str]) -> list[tuple[int, int]]:
        """Returns the ranges of a batch's data to read, in order."""
        wanted = buffers_of(self.schema, names, message.num_variadic)
        if wanted is None or max(wanted, default=-1) >= len(message.buffers):
            return [(0, message.stop - message.data_start)]
        ranges: list[tuple[int, int]] = []
        for offset, size in sorted(message.buffers[index] for index in wanted):
            if not size:
                continue
            if ranges and offset - ranges[-1][1] <= _MAX_GAP_BYTES:
                ranges[-1] = (ranges[-1][0], max(ranges[-1][1], offset + size))
            else:
                ranges.append((offset, offset + size))
        return ranges

    def _check_lengths(self, message: Message, body: memoryview) -> None:
        """Refuses compressed buffers that claim to expand to more than can be meant."""
        for offset, size in message.buffers if message.is_compressed else ():
            length = int.from_bytes(body[offset : offset + min(size, 8)], "little", signed=True)
            if length > _MAX_BUFFER_BYTES:
                raise DamageError(
                    f"{self._path}, byte {message.start:,}: damaged: a buffer expands to {length:,} bytes, at most "
                    f"{_MAX_BUFFER_BYTES:,} are read"
                )

    def _dictionaries_before(self, stop: int) -> list[bytes]:
        """Returns the messages with dictionaries before a batch."""
        if stop < self._searched:
            self._dictionaries, self._searched = [], self._messages.start
        for message in self._messages.read(self._searched, stop):
            if message.kind == "dictionary":
                self._stream.seek(message.start)
                data = self._stream.read(message.stop - message.start)
                self._check_lengths(message, memoryview(data)[len(message.header) :])
                self._dictionaries.append(data)
        self._searched = stop
        return self._dictionaries


def _with_bytes(kind: pa.DataType) -> pa.DataType:
    """Returns a type with byte strings for texts, which have the same layout: each text is checked by itself."""
    if isinstance(kind, pa.BaseExtensionType):
        return _with_bytes(kind.storage_type)
    for is_text, replacement in _SAME_LAYOUT:
        if is_text(kind):
            return replacement
    if types.is_struct(kind):
        return pa.struct([field.with_type(_with_bytes(field.type)) for field in kind])
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_with_bytes(kind.value_type)))
    return (
        pa.large_list(kind.value_field.with_type(_with_bytes(kind.value_type))) if types.is_large_list(kind) else kind
    )
