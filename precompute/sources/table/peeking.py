"""The first rows of a table, read without the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lit_precompute.precompute.sources.files import Opener
from lit_precompute.precompute.sources.peeking import Peek
from lit_precompute.precompute.sources.source import Example, ListedFile, SourceError
from lit_precompute.precompute.sources.table.gathering import placed_rows
from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.table.records import DIALECTS, read_records
from lit_precompute.precompute.sources.table.rows import Layout, Row
from lit_precompute.precompute.sources.table.streams import OpenTable, open_table
from lit_precompute.precompute.sources.values import short

_CHUNK_BYTES = 1 << 16
_MAX_VALUE = 200


def peek_table(
    file: ListedFile,
    max_rows: int,
    *,
    format: str,
    gather: bool,
    opener: Opener,
    layout_of: Callable[[Lines], Layout],
    example_of: Callable[[str, Row], Example],
) -> Peek:
    """Returns the beginning of a table; see `Peekable.peek`.

    Args:
      file: the table.
      max_rows: rows to read, at most.
      format: its format.
      gather: whether rows are gathered.
      opener: opens a path.
      layout_of: reads the header of a table's lines.
      example_of: makes an example from a table's path and a row of it.
    """
    with open_table(file.path, opener) as table:
        fields = _fields(Lines(table.text, file.path, at_start=True, chunk_bytes=_CHUNK_BYTES), format)
    rows: list[Example] = []
    ended = False
    with open_table(file.path, opener) as table:
        lines = Lines(table.text, file.path, at_start=True, chunk_bytes=_CHUNK_BYTES)
        try:
            layout = layout_of(lines)
            start = end = lines.offset
            for placed in placed_rows(layout.rows(lines), lines, gather=gather):
                if len(rows) == max_rows:
                    break
                rows.append(example_of(file.path, placed.row))
                end = placed.end
            else:
                ended = True
        except SourceError as error:
            return Peek(rows=tuple(rows), fields=fields, fault=str(error))
        num_rows = len(rows) if ended else _estimate(table, file, len(rows), lines.num_read, end - start)
    return Peek(rows=tuple(rows), num_rows=num_rows, is_exact=ended, fields=fields)


def _estimate(table: OpenTable, file: ListedFile, num_rows: int, num_read: int, num_bytes: int) -> int | None:
    """Returns how many rows a table has, if all are as long as the first ones; None if its size is not known.

    Args:
      table: of which the first rows have been read.
      file: as listed.
      num_rows: how many have been read.
      num_read: bytes of its text that have been read.
      num_bytes: that are those of the rows.
    """
    size = file.num_bytes if file.num_bytes is not None else _size(table)
    if size is None or not num_bytes:
        return None
    try:
        return max(num_rows, round(num_rows * table.text_bytes(num_read, size) / num_bytes))
    except SourceError:
        return None  # damaged further on


def _size(table: OpenTable) -> int | None:
    try:
        place = table.stream.tell()
        size = table.stream.seek(0, 2)
        table.stream.seek(place)
    except OSError:
        return None  # a server that does not tell
    return size


def _fields(lines: Lines, format: str) -> Mapping[str, str]:
    """Returns the names of columns or keys, and the values of the first row, as far as they can be read at all."""
    try:
        if format == "jsonl":
            first = next((line for line in lines if line.strip()), "")
            values = json.loads(first)
            return {str(name): _shown(value) for name, value in values.items()} if isinstance(values, dict) else {}
        records = read_records(lines, DIALECTS[format])
        names = [name.strip() for name in next(records, ([], 0))[0]]
        values, _ = next(records, ([], 0))
        return {name: _shown(value) for name, value in zip(names, [*values, *[""] * len(names)], strict=False)}
    except (SourceError, ValueError, RecursionError):
        return {}  # what is wrong is said of the rows


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else short(value)
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."
