"""What every columnar file offers, and the error for a damaged one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from lit_precompute.precompute.sources.columnar.columns import Column
from lit_precompute.precompute.sources.source import SourceError


class DamageError(SourceError):
    """A file, or a part of one, that cannot be read."""


class Group(NamedTuple):
    """Rows that a file keeps together: a row group or a record batch; [start, stop) as the format counts."""

    start: int
    stop: int
    num_rows: int
    place: str


class ColumnarFile(Protocol):
    """An open file of columns."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        ...

    @property
    def content(self) -> str:
        """A hash that differs where the rows do, as far as it can be told without reading them."""
        ...

    @property
    def num_bytes(self) -> int:
        """Its size."""
        ...

    def groups(self, start: int, stop: int | None) -> Iterator[Group]:
        """Yields the groups that begin in [start, stop); to the end of the file, if that is None.

        Raises:
          DamageError: the file is damaged.
        """
        ...

    def batches(self, group: Group, columns: Sequence[Column], skip: int, take: int) -> Iterator[pa.RecordBatch]:
        """Yields `take` rows of a group after the first `skip`, in parts of bounded size, with the columns' data.

        Raises:
          DamageError: the group is damaged, and nothing after the rows so far can be read.
        """
        ...


def in_words(error: BaseException) -> str:
    """Returns what a library says, in one line."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 160 else words[:157] + "..."
