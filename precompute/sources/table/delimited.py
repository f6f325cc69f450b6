"""Delimited tables (CSV, TSV): the header, and the rows it declares."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.suggestions import looks_like_image
from lit_precompute.precompute.sources.table.lines import NOT_UTF8, Lines
from lit_precompute.precompute.sources.table.records import DIALECTS, Dialect, filled_lines, read_fields, read_records
from lit_precompute.precompute.sources.table.rows import Row, checked_path, no_text
from lit_precompute.precompute.sources.values import Fault, listed, parse_json, read_texts, short

_READ_QUOTED = "if the table quotes fields, use --source-format quoted-tsv"
_QUOTES_KEPT = f"a field in quotes, kept as it is ({_READ_QUOTED})"
_DELIMITERS = (";", "\t", ",")
_IN_QUOTES = re.compile(r'"(?:[^"]|"")*+"')  # as programs write fields that need quotes


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelimitedLayout:
    """See `Layout`. The meaning of each field."""

    dialect: Dialect
    names: tuple[str, ...]
    image: int | None
    texts: tuple[int, ...]
    text_list: int | None
    label: int | None
    key: int | None
    named: Mapping[str, int]

    @property
    def sought(self) -> Mapping[str, str]:
        """Nothing: the header has been checked."""
        return {}

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Yields a row per record; blank lines are skipped."""
        for fields, line in read_records(lines, self.dialect):
            if len(fields) != len(self.names):
                raise lines.fault(self._wrong_number(fields), line)
            fault = functools.partial(lines.fault, line=line)
            notes = [] if self.dialect.is_quoted else self._quotes_kept(fields, lines, fault)
            texts = [fields[index] for index in self.texts if fields[index]]
            if self.text_list is not None and fields[self.text_list]:
                name = self.names[self.text_list]
                list_texts, list_notes = read_texts({name: self._parse_list(fields[self.text_list], fault)}, name)
                texts += list_texts
                notes += list_notes
            label = "" if self.label is None else fields[self.label]
            key = "" if self.key is None else fields[self.key]
            if self.key is not None and not key:
                raise fault(f"column {self.names[self.key]!r} is empty; give every row a key or none")
            path = "" if self.image is None else checked_path(fields[self.image], self.names[self.image], fault)
            named = {name: _cell_texts(fields[index]) for name, index in self.named.items()}
            yield Row(path, tuple(texts), label, key or path, tuple(notes), named)

    def _wrong_number(self, fields: Sequence[str]) -> str:
        """Returns the error message for a row with another number of fields than the header, with a likely cause."""
        message = f"the header has {len(self.names)} fields, this row {len(fields)}; "
        other = next((mark for mark in _DELIMITERS if mark in fields[0]), None)
        if len(fields) == 1 and other:
            return (
                message + f"the row has no {self.dialect.delimiter!r} but {other!r}: separate fields as the header does"
            )
        if self.dialect.is_quoted and any(field.lstrip().startswith('"') for field in fields if field[:1].isspace()):
            return message + "a space before a quote makes the quote part of the text: remove that space"
        if self.dialect.is_quoted:
            return message + f"quote a field that contains {self.dialect.delimiter!r} or a line break"
        return message + f"in TSV every tab separates fields, every line break rows; {_READ_QUOTED}"

    def _quotes_kept(self, fields: Sequence[str], lines: Lines, fault: Fault) -> list[str]:
        """Returns a note if a field that is read without quoting looks quoted; refuses such a path."""
        if '"' not in "".join(fields) or not any(field.startswith('"') for field in fields):
            return []
        lines.num_quoted += 1
        named, what = (self.key, "key") if self.image is None else (self.image, "path")
        if named is not None and _IN_QUOTES.fullmatch(fields[named]):
            raise fault(f"the {what} is in quotes, {short(fields[named])}; {_READ_QUOTED}")
        return [_QUOTES_KEPT] if any(_IN_QUOTES.fullmatch(field) for field in fields) else []

    def _parse_list(self, cell: str, fault: Fault) -> Any:
        """Returns the value of a cell of JSON."""
        hint = "" if self.dialect.is_quoted or not cell.startswith('"') else f"; {_READ_QUOTED}"
        return parse_json(cell, fault, hint)


def _cell_texts(cell: str) -> tuple[str, ...]:
    """Returns the texts of a cell with named texts: a JSON list's strings, or the cell as it is."""
    if cell.startswith("[") and cell.rstrip().endswith("]"):
        try:
            return tuple(text for text in json.loads(cell) if isinstance(text, str) and text)
        except (ValueError, RecursionError):
            pass  # a text in brackets
    return (cell,) if cell else ()


@dataclasses.dataclass(frozen=True)
class _Header:
    """The names of a table's columns, sought by those that the user gave."""

    names: Sequence[str]
    lines: Lines
    columns: SourceColumns
    dialect: Dialect

    def index(self, name: str, option: str) -> int:
        """Returns the place of a column.

        Raises:
          SourceError: there is none of the name, or several.
        """
        names, columns = self.names, self.columns
        if name not in names:
            if odd := next(filter(looks_like_image, names), None):
                raise self.lines.fault(
                    f"no column {name!r}; the first line must name the columns, and {short(odd)} looks like an image: "
                    f"put a line of names before it, such as {columns.image}{self.dialect.delimiter}{columns.text}"
                )
            raise self.lines.fault(f"no column {name!r}; there are {listed(names)}; give its name as {option}")
        if names.count(name) > 1:
            raise self.lines.fault(
                f"column {name!r} occurs {names.count(name)} times; only {columns.text!r} may repeat"
            )
        return names.index(name)

    def find(self, field: str) -> int | None:
        """Returns the place of the column of a field, if it is there; what the user named must be."""
        name = getattr(self.columns, field)
        return (
            None if name not in self.names and self.columns.is_default(field) else self.index(name, f"--{field}-column")
        )


def read_header(lines: Lines, format: str, columns: SourceColumns, *, has_images: bool = True) -> DelimitedLayout:
    """Returns the layout that the first line of a CSV or TSV file declares; `has_images` as of a `TableSource`.

    Raises:
      SourceError: a column is missing or repeated; the file's columns are listed.
    """
    dialect = DIALECTS[format]
    line = next(filled_lines(lines, dialect), "")
    needed = columns.image if has_images else columns.key
    if not line:
        raise SourceError(f"{lines.path}: empty; the first line must name the columns, {needed!r} among them")
    if "\0" in line:
        raise lines.fault(NOT_UTF8)
    _check_separator(line, lines, format, needed, columns.image)
    names = tuple(name.strip() for name in read_fields(line, lines, dialect))
    header = _Header(names, lines, columns, dialect)
    key = header.find("key")
    is_needed = has_images or (key is None and columns.image in names)
    image = header.index(columns.image, "--image-column") if is_needed else None
    if image is None and key is None:
        header.index(columns.key, "--key-column")
    numbered = re.compile(rf"{re.escape(columns.text)}(_\d+)?")
    texts = tuple(index for index, name in enumerate(names) if numbered.fullmatch(name))
    layout = DelimitedLayout(
        dialect=dialect,
        names=names,
        image=image,
        texts=texts,
        text_list=header.find("texts"),
        label=header.find("label"),
        key=key,
        named={
            name: header.index(column, f"--named-text {name}=COLUMN") for name, column in columns.named_columns.items()
        },
    )
    has_others = layout.text_list is not None or layout.label is not None or layout.named
    if not texts and (not columns.is_default("text") or not has_others):
        raise lines.fault(no_text(columns, names))
    return layout


def _check_separator(line: str, lines: Lines, format: str, needed: str, image: str) -> None:
    """Refuses a header that has a needed column, or one of images, only in another format, and names that one."""
    for other in (format, *DIALECTS):
        names = [name.strip() for name in line.split(DIALECTS[other].delimiter)]
        if DIALECTS[other].is_quoted:
            names = [name.strip('"') for name in names]
        if needed in names or image in names:
            if other == format:
                return
            found = [name.strip() for name in line.split(DIALECTS[format].delimiter)]
            raise lines.fault(
                f"no column {needed!r}; there are {listed(found)}; the table looks like {other}: "
                f"read it with --source-format {other}"
            )
    if DIALECTS[format].delimiter in line:
        return
    for other, dialect in DIALECTS.items():
        if dialect.delimiter in line:
            raise lines.fault(
                f"no column {needed!r}; the line has no {DIALECTS[format].delimiter!r} but "
                f"{dialect.delimiter!r}; the table looks like {other}: read it with --source-format {other}"
            )
    if "|" in line:
        raise lines.fault(
            f"no column {needed!r}; the line has '|' between its fields, which is not read: write commas or tabs"
        )
