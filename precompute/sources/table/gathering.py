"""The rows of a table with their places; rows that share an image become one, where that is asked for.

Promises: rows are gathered only where they follow each other; all of them have the same image and label. A row's
place is all of its lines, so that what is cut at places cuts no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.table.rows import Row
from lit_precompute.precompute.sources.values import Fault, short


class PlacedRow(NamedTuple):
    """A row, the line that messages name, and where its last line ends: the line's number, and the byte."""

    row: Row
    line: int
    last_line: int
    end: int


def placed_rows(rows: Iterable[Row], lines: Lines, *, gather: bool) -> Iterator[PlacedRow]:
    """Yields each row of some lines with its place.

    Args:
      rows: as `Layout.rows` reads them from the lines.
      lines: the lines.
      gather: whether consecutive rows of one key become one row with all their texts.

    Raises:
      SourceError: rows to be gathered differ in image or label.
    """
    placed = (PlacedRow(row, lines.number, lines.number, lines.offset) for row in rows)
    return _gathered(placed, lines.fault) if gather else placed


def _gathered(rows: Iterable[PlacedRow], fault: Fault) -> Iterator[PlacedRow]:
    group: list[PlacedRow] = []
    for placed in rows:
        if group and placed.row.key != group[0].row.key:
            yield _joined(group)
            group = []
        if group:
            _check_same(group[0], placed, fault)
        group.append(placed)
    if group:
        yield _joined(group)


def _check_same(first: PlacedRow, other: PlacedRow, fault: Fault) -> None:
    for what, before, now in (
        ("image", first.row.path, other.row.path),
        ("label", first.row.label, other.row.label),
    ):
        if before != now:
            raise fault(
                f"{what} {short(now)}, but {short(before)} in line {first.line}, a row of the same key "
                f"{short(first.row.key)}: gathered rows must agree"
            )


def _joined(group: list[PlacedRow]) -> PlacedRow:
    if len(group) == 1:
        return group[0]
    first, last = group[0], group[-1]
    rows = [placed.row for placed in group]
    row = first.row._replace(
        texts=tuple(text for row in rows for text in row.texts),
        notes=tuple(note for row in rows for note in row.notes),
        # A title is the same in each row of an image.
        named={
            name: tuple(dict.fromkeys(text for row in rows for text in row.named[name])) for name in first.row.named
        },
    )
    return PlacedRow(row, first.line, last.last_line, last.end)
