"""What a Parquet file's footer and page headers say of where columns are, and how large.

The library aborts the process where it is asked for a column of a damaged footer, so they are read here.

Source: the Parquet format, parquet.thrift: FileMetaData, RowGroup, ColumnChunk, ColumnMetaData, PageHeader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from lit_precompute.precompute.sources.columnar.thrift import CompactReader

_DICTIONARY_PAGE = 2


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A column of a row group.

    Attributes:
      path: of the column: the names of its fields, joined by dots.
      start: where its pages begin.
      num_bytes: of its pages.
      num_expanded: bytes of its pages, not compressed.
    """

    path: str
    start: int
    num_bytes: int
    num_expanded: int


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """Rows that a file keeps together."""

    num_rows: int
    chunks: tuple[Chunk, ...]

    def chunks_of(self, names: Sequence[str]) -> list[Chunk]:
        """Returns the chunks of columns, or of fields in them, by names such as "json.caption"."""
        return [each for each in self.chunks if any(f"{each.path}.".startswith(f"{name}.") for name in names)]


def read_row_groups(footer: bytes) -> list[RowGroup]:
    """Returns the row groups that a footer describes.

    Raises:
      ValueError: it is damaged.
    """
    try:
        groups = CompactReader(footer).struct().get(4, [])
        return [RowGroup(_count(group[3]), tuple(map(_chunk, group[1]))) for group in groups]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"a row group without what it must have ({error})") from error


def _chunk(value: dict[int, Any]) -> Chunk:
    about = value[3]
    path = b".".join(about[3]).decode(errors="replace")
    starts = [_count(start) for start in (about.get(11), about[9]) if start is not None]
    # A file may say that there is no dictionary by a 0.
    return Chunk(path, min(filter(None, starts), default=0), _count(about[7]), _count(about[6]))


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"a count of {value!r}")
    return value


def dictionary_bytes(page_header: bytes) -> int:
    """Returns the size that a dictionary page expands to; 0 if the header is of another page, or damaged."""
    try:
        header = CompactReader(page_header).struct()
    except ValueError:
        return 0
    size = header.get(2)
    return size if header.get(1) == _DICTIONARY_PAGE and isinstance(size, int) else 0
