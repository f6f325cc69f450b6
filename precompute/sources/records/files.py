"""What the formats of files of records have in common: counting the records of a file, and reading some in order.

Promises: a file on this machine is cut into slices, and nothing but a slice's records is read; a file elsewhere, or a
compressed one, is one slice, read once from its beginning to its end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

from lit_precompute.precompute.sources.source import FileLook, FileSlice, ListedFile


class RawRecord(NamedTuple):
    """A record: its number in the file, and its bytes."""

    number: int
    data: bytes


class RecordFiles(Protocol):
    """A format of files of records. Picklable and small."""

    def look(
        self, file: ListedFile, rows_per_slice: int, *, num_records: int | None, num_first: int
    ) -> tuple[FileLook, list[RawRecord]]:
        """Returns the slices of a file, and its first records.

        Args:
          file: the file.
          rows_per_slice: records of each slice but the last.
          num_records: in the file, if that is known.
          num_first: how many of its records to return; fewer if there are fewer.

        Raises:
          SourceError: it cannot be opened or is damaged.
        """
        ...

    def read(self, part: FileSlice) -> Iterator[RawRecord]:
        """Yields the records of a slice; those of the whole file if it is one of unknown length.

        Raises:
          SourceError: they are damaged.
        """
        ...


def content_hash(file: ListedFile, what: object) -> str:
    """Returns a hash of a file's size and of what was found in it; nothing that differs for a copy of the file."""
    return hashlib.sha256(repr((file.num_bytes, what)).encode()).hexdigest()


def local_name(stream: BinaryIO) -> str | None:
    """Returns the path of an open file on this machine; None for any other."""
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) else None
