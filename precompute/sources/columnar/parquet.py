"""Parquet files: their row groups, read by columns.

Promises: the footer is read by one request, two if it is long; of a row group only the needed columns are read, in
pieces, so that memory is bounded however large a row group is; a damaged file is a `DamageError`, never an error of the
library, and what a store raises stays what it is.

Not here: encrypted files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.precompute.sources.columnar.columns import Column, check_names, has_dictionary
from lit_precompute.precompute.sources.columnar.file import DamageError, Group, in_words
from lit_precompute.precompute.sources.columnar.parquet_footer import dictionary_bytes, read_row_groups
from lit_precompute.precompute.sources.columnar.planned_reads import PlannedReads

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_TAIL_BYTES = 1 << 16
# What the library reads ahead in each column.
_BUFFER_BYTES = 1 << 18
_BATCH_BYTES = 1 << 24
# Enough for the header of a dictionary page, which has no statistics.
_PAGE_HEADER_BYTES = 128
_MAX_BATCH_ROWS = 4096
# Values that a column chunk's rows share are in its dictionary; each row may repeat the largest.
_MAX_DICTIONARY_BYTES = 1 << 30
_MAX_REPEATED_BYTES = 1 << 27
# More are not written by anyone, and would be enumerated: a footer may claim any number.
_MAX_ROWS_PER_BYTE = 1000


class ParquetFile:
    """See `ColumnarFile`. The groups are row groups."""

    def __init__(self, stream: BinaryIO, path: str):
        """Reads the footer.

        Raises:
          DamageError: it is not a Parquet file, or damaged.
        """
        num_bytes = stream.seek(0, os.SEEK_END)
        self._reads = PlannedReads(stream, num_bytes)
        self.num_bytes = num_bytes
        footer = self._read_footer(path)
        self.content = hashlib.sha256(footer).hexdigest()
        with self._damage(f"{path}: not a readable Parquet file"):
            self._groups = read_row_groups(footer)
            self._file = pq.ParquetFile(
                self._reads, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
            )
            self.schema: pa.Schema = self._file.schema_arrow
            check_names(self.schema)
        num_rows = sum(group.num_rows for group in self._groups)
        if num_rows > _MAX_ROWS_PER_BYTE * num_bytes:
            raise DamageError(f"{path}: damaged: its footer claims {num_rows:,} rows in {num_bytes:,} bytes")
        self._path = path

    def groups(self, start: int, stop: int | None) -> Iterator[Group]:
        """Yields the row groups [start, stop); to the end, if that is None."""
        for index, group in enumerate(self._groups[start:stop], start):
            yield Group(index, index + 1, group.num_rows, f"row group {index}")

    def batches(self, group: Group, columns: Sequence[Column], skip: int, take: int) -> Iterator[pa.RecordBatch]:
        """See `ColumnarFile`."""
        with self._damage(f"{self._path}, {group.place}: damaged"):
            names = list(dict.fromkeys(column.read for column in columns))
            rows = self._plan(group.start, names)
            left = take
            found = self._file.iter_batches(rows, row_groups=[group.start], columns=names, use_threads=False)
            for batch in found:
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                part = batch.slice(skip, left)
                for column in part.columns:
                    if has_dictionary(column.type):  # the library checks no indices
                        column.validate(full=True)
                skip, left = 0, left - part.num_rows
                yield part
                if not left:
                    return
        if left:
            raise DamageError(
                f"{self._path}, {group.place}: damaged: {left:,} of its {group.num_rows:,} rows are not there"
            )

    def _plan(self, group: int, names: Sequence[str]) -> int:
        """Plans to read the columns of a row group; returns how many rows to read at a time."""
        about = self._groups[group]
        chunks = about.chunks_of(names)
        self._reads.plan((chunk.start, chunk.start + chunk.num_bytes) for chunk in chunks)
        num_bytes = sum(chunk.num_expanded for chunk in chunks)
        rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES * max(about.num_rows, 1) // max(num_bytes, 1)))
        for chunk in chunks:
            shared = dictionary_bytes(self._reads.range(chunk.start, chunk.start + _PAGE_HEADER_BYTES))
            if shared > _MAX_DICTIONARY_BYTES:
                raise DamageError(
                    f"{self._path}, row group {group}: the dictionary of column {chunk.path!r} expands to {shared:,} "
                    f"bytes, at most {_MAX_DICTIONARY_BYTES:,} are read"
                )
            rows = max(1, min(rows, _MAX_REPEATED_BYTES // max(shared, 1)))
        return rows

    def _read_footer(self, path: str) -> bytes:
        """Returns the footer, and keeps it for the library.

        Raises:
          DamageError: there is none.
        """
        size = self.num_bytes
        start = max(0, size - _TAIL_BYTES)
        tail = self._reads.range(start, size)
        if size < 12 or len(tail) != size - start:
            raise DamageError(f"{path}: not a Parquet file: it has {size:,} bytes, and none has fewer than 12")
        if tail.endswith(_ENCRYPTED):
            raise DamageError(f"{path}: an encrypted Parquet file; write it without encryption")
        if not tail.endswith(_MAGIC):
            cut = self._reads.range(0, 4) == _MAGIC
            why = "a Parquet file that was cut short: copy it again" if cut else "not a Parquet file"
            raise DamageError(f"{path}: {why}; the last four bytes are {tail[-4:]!r} instead of {_MAGIC!r}")
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if length > size - 4:
            raise DamageError(f"{path}: damaged: its footer claims {length:,} bytes of {size:,}")
        if length > len(tail):
            tail = self._reads.range(size - length, start) + tail
        self._reads.keep(size - len(tail), tail)
        return tail[-length:]

    @contextlib.contextmanager
    def _damage(self, message: str) -> Iterator[None]:
        """Turns an error of the library into a `DamageError`; raises what the stream below raised as it was."""
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, NotImplementedError) as error:
            if isinstance(error, (DamageError, MemoryError)):
                raise
            if self._reads.error is not None:
                raise self._reads.error from None
            raise DamageError(f"{message} ({in_words(error)})") from error
