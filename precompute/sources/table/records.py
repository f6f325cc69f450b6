"""The records of a delimited table (CSV, TSV): the fields of each, with or without quoting.

Promises: without quoting a line is a record, and quotes are ordinary characters. With quoting, a field that begins with
a quote ends with one, a quote inside it is doubled, and only such a field contains a line break or the delimiter;
anything else is an error. A field may be as long as `MAX_ROW_BYTES`: Python's csv module has a limit, which only
the whole process can change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lit_precompute.precompute.sources.table.lines import MAX_ROW_BYTES, Lines


@dataclasses.dataclass(frozen=True)
class Dialect:
    """What separates fields, and whether they may be quoted."""

    delimiter: str
    is_quoted: bool


DIALECTS = {
    "csv": Dialect(",", is_quoted=True),
    "tsv": Dialect("\t", is_quoted=False),
    "quoted-tsv": Dialect("\t", is_quoted=True),
    "semicolon-csv": Dialect(";", is_quoted=True),
}

_HOW_TO_QUOTE = 'quote fields as "..." and a quote inside as ""'


def read_records(lines: Lines, dialect: Dialect) -> Iterator[tuple[list[str], int]]:
    """Yields (fields, the line where the record begins); blank lines are skipped and counted.

    Raises:
      SourceError: a quoted field does not end, or is followed by something else than the delimiter.
    """
    for line in filled_lines(lines, dialect):
        number = lines.number
        fields = read_fields(line, lines, dialect)
        lines.num_long_rows += lines.number > number
        yield fields, number


def filled_lines(lines: Lines, dialect: Dialect) -> Iterator[str]:
    """Yields the lines that are not blank; counts the blank ones."""
    for line in lines:
        if dialect.delimiter in line or line.strip():
            yield line
        else:
            lines.num_blank += 1


def read_fields(line: str, lines: Lines, dialect: Dialect) -> list[str]:
    """Returns the fields of the record that begins with `line`."""
    if dialect.is_quoted and '"' in line:
        return _quoted_fields(line, lines, dialect.delimiter)
    return line.rstrip("\r\n").split(dialect.delimiter)


def _quoted_fields(line: str, lines: Lines, delimiter: str) -> list[str]:
    """Returns the fields of the record that begins with `line`, and reads on while a quoted field does."""
    fields, first, position = [], lines.number, 0
    while True:
        if line.startswith('"', position):
            field, line, position = _quoted_field(line, position + 1, lines)
        else:
            end = line.find(delimiter, position)
            end = len(line.rstrip("\r\n")) if end < 0 else end
            field, position = line[position:end], end
        fields.append(field)
        if line[position : position + 1] in ("", "\r", "\n"):
            return fields
        if not line.startswith(delimiter, position):
            where = f" in line {lines.number}" if lines.number > first else ""
            raise lines.fault(f"{delimiter!r} expected after '\"'{where}; {_HOW_TO_QUOTE}", first)
        position += 1


def _quoted_field(line: str, position: int, lines: Lines) -> tuple[str, str, int]:
    """Returns (field, the line where it ends, the position after its closing quote); `position` is inside the field."""
    parts, number, start = [], lines.number, lines.offset
    while True:
        end = line.find('"', position)
        if end < 0:
            parts.append(line[position:])
            line, position = next(iter(lines), ""), 0
            if not line or lines.offset - start > MAX_ROW_BYTES:
                raise lines.fault(f"a quoted field begins here and does not end; {_HOW_TO_QUOTE}", number)
        elif line.startswith('"', end + 1):
            parts.append(line[position : end + 1])
            position = end + 2
        else:
            parts.append(line[position:end])
            return "".join(parts), line, end + 1
