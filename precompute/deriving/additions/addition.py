"""What a derived dataset adds: a table, made of rows that are known by their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from lit_precompute.schemas import Note, TableSchema


class Addition(Protocol):
    """A table of a derived dataset, and where its rows come from."""

    @property
    def table(self) -> TableSchema:
        """The table."""
        ...

    @property
    def gathers(self) -> bool:
        """Whether several rows of a key become one."""
        ...

    @property
    def needs_all(self) -> bool:
        """Whether no row of the dataset may be missing."""
        ...

    @property
    def max_bytes(self) -> int:
        """About how much memory all rows would take."""
        ...

    def described(self) -> dict[str, Any]:
        """Returns where the rows come from and how they were read, as a manifest records it."""
        ...

    def batches(self, progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yields all rows: key, file, number (their place), and the table's other columns.

        Args:
          progress: called with the rows so far.

        Raises:
          SourceError, DatasetError: what is read is damaged, or a row breaks a rule.
        """
        ...

    def place(self, file: int, number: int) -> str:
        """Returns where a row is, in words."""
        ...

    def notes(self) -> Sequence[Note]:
        """Returns what was left out of the rows that have been read."""
        ...
