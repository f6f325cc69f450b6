"""Parquet and Arrow files, read by rows and columns.

Promises: whatever a file holds, an error is a `SourceError` that names it; memory is bounded by a batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from lit_precompute.precompute.sources.columnar.arrow import ArrowFile
from lit_precompute.precompute.sources.columnar.columns import Column, find_column
from lit_precompute.precompute.sources.columnar.file import ColumnarFile, Group
from lit_precompute.precompute.sources.columnar.parquet import ParquetFile
from lit_precompute.precompute.sources.files import open_first
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import listed
from lit_precompute.schemas.storage import open_file


class TableFile:
    """An open file of columns; use as a context manager."""

    def __init__(self, path: str):
        """Opens a file and reads its footer or schema.

        Raises:
          SourceError: it cannot be opened, or is damaged.
        """
        self.path = path
        self._stream: BinaryIO = open_first(path, open_file)
        try:
            kind = ParquetFile if path.lower().endswith((".parquet", ".pq")) else ArrowFile
            self._file: ColumnarFile = kind(self._stream, path)
        except BaseException:
            self._stream.close()
            raise

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return self._file.schema

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return self._file.num_bytes

    @functools.cached_property
    def _groups(self) -> list[Group]:
        return list(self._file.groups(0, None))

    @property
    def num_rows(self) -> int:
        """Its rows, as the headers say."""
        return sum(group.num_rows for group in self._groups)

    def find(self, names: Sequence[str]) -> Column | None:
        """Returns the first column of some names, if there is one."""
        found = (find_column(self.schema, name, self.path) for name in names)
        return next((column for column in found if column is not None), None)

    def require(self, names: Sequence[str], flag: str) -> Column:
        """Returns the first column of some names.

        Raises:
          SourceError: there is none; says which there are, and the flag that names another.
        """
        column = self.find(names)
        if column is None:
            wanted = " or ".join(map(repr, names))
            raise SourceError(
                f"{self.path}: no column {wanted}; there are {listed(self.schema.names)}; {flag} names another"
            )
        return column

    def batches(self, columns: Sequence[Column], start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """Yields the rows [start, stop) in batches of bounded size.

        Raises:
          SourceError: a part is damaged.
        """
        first = 0
        for group in self._groups:
            skip, end = max(start - first, 0), min(stop - first, group.num_rows)
            if skip < end:
                yield from self._file.batches(group, columns, skip, end - skip)
            first += group.num_rows

    def __enter__(self) -> TableFile:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._stream.close()
