"""The rows of a table file (CSV, TSV or JSON lines), line by line; errors name file and line.

Promises: a `Layout` suffices to read any part of the table that begins at a row; `Lines` counts the bytes it has read,
so that every row's position is known after one pass.

Not here: checks of the whole table (unique keys, at least one row): see `units`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from lit_precompute.precompute.sources.source import SourceColumns, SourceError
from lit_precompute.precompute.sources.values import parse_json, short, strings, whole, word

DELIMITERS = {"csv": ",", "tsv": "\t"}


class Row(NamedTuple):
    """The contents of one row. `key` is "" where the path is the key."""

    path: str
    texts: tuple[str, ...]
    label: str
    key: str


class Lines:
    """The lines of a byte stream as text; counts and hashes the bytes read.

    Args:
      stream: yields lines as bytes.
      path: the file's path, for errors.
      at_start: whether the stream begins where the file does, and so may have a byte order mark.
    """

    def __init__(self, stream: Iterable[bytes], path: str, *, at_start: bool):
        self.path = path
        self.at_start = at_start
        self.offset = 0
        self.number = 0
        self.digest = hashlib.sha256()
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        for raw in self._stream:
            self.offset += len(raw)
            self.number += 1
            self.digest.update(raw)
            try:
                yield raw.decode("utf-8-sig" if self.at_start and self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise self.fault(f"not UTF-8 at byte {error.start} of the line; save the table as UTF-8") from error

    def fault(self, message: str, line: int | None = None) -> SourceError:
        """Returns an error that begins with the file and the line (None: the latest one)."""
        return SourceError(f"{self.path}, line {line or self.number}: {message}")


class Layout(Protocol):
    """How a table's lines become rows."""

    def skip_header(self, lines: Lines) -> None: ...

    def rows(self, lines: Lines) -> Iterator[Row]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelimitedLayout:
    """The header of a CSV or TSV file: the meaning of each field."""

    delimiter: str
    names: tuple[str, ...]
    image: int
    texts: tuple[int, ...]
    text_list: int | None
    label: int | None
    key: int | None

    def skip_header(self, lines: Lines) -> None:
        """Skips the first record."""
        next(_records(lines, self.delimiter))

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Yields a row per record; blank lines are skipped."""
        for fields, line in _records(lines, self.delimiter):
            if len(fields) != len(self.names):
                raise lines.fault(
                    f"the header has {len(self.names)} fields, this row {len(fields)}; "
                    f"quote a field that contains {self.delimiter!r} or a line break",
                    line,
                )
            texts = [fields[index] for index in self.texts if fields[index]]
            if self.text_list is not None and fields[self.text_list]:
                fault = functools.partial(lines.fault, line=line)
                values = parse_json(fields[self.text_list], fault)
                texts += strings({self.names[self.text_list]: values}, self.names[self.text_list], fault)
            label = "" if self.label is None else fields[self.label]
            key = "" if self.key is None else fields[self.key]
            if self.key is not None and not key:
                raise lines.fault(f"column {self.names[self.key]!r} is empty; give every row a key or none", line)
            yield Row(_checked_path(fields[self.image], self.names[self.image], lines, line), tuple(texts), label, key)


def read_header(lines: Lines, format: str, columns: SourceColumns) -> DelimitedLayout:
    """Returns the layout that the first line of a CSV or TSV file declares.

    Raises:
      SourceError: a column is missing or repeated; the file's columns are listed.
    """
    names = tuple(name.strip() for name in next(_records(lines, DELIMITERS[format]), ([], 0))[0])
    if not names:
        raise SourceError(f"{lines.path}: empty; the first line must name the columns, {columns.image!r} among them")

    def find(field: str, required: bool = False) -> int | None:
        name = getattr(columns, field)
        if name in names:
            if names.count(name) > 1:
                raise lines.fault(f"column {name!r} occurs {names.count(name)} times; only {columns.text!r} may repeat")
            return names.index(name)
        if required or not columns.is_default(field):
            raise lines.fault(f"no column {name!r}; there are {list(names)}; name the {field} column with an option")
        return None

    numbered = re.compile(rf"{re.escape(columns.text)}(_\d+)?")
    texts = tuple(index for index, name in enumerate(names) if numbered.fullmatch(name))
    layout = DelimitedLayout(
        delimiter=DELIMITERS[format],
        names=names,
        image=find("image", required=True) or 0,
        texts=texts,
        text_list=find("texts"),
        label=find("label"),
        key=find("key"),
    )
    if not texts and (not columns.is_default("text") or (layout.text_list is None and layout.label is None)):
        raise lines.fault(no_text(columns, list(names)))
    return layout


def no_text(columns: SourceColumns, names: list[str]) -> str:
    """Returns the error message for a table without texts: usually an option was forgotten."""
    return (
        f"no {columns.text!r}; there are {names}; name the text column with an option "
        f"(to embed images without texts, add an empty {columns.text!r})"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonLayout:
    """JSON lines: one object per line, with the columns as keys."""

    columns: SourceColumns

    def skip_header(self, lines: Lines) -> None:
        """Does nothing: JSON lines have no header."""

    def rows(self, lines: Lines) -> Iterator[Row]:
        """Yields a row per object; blank lines are skipped."""
        columns, unchecked = self.columns, lines.at_start
        for line in lines:
            if not line.strip():
                continue
            values = parse_json(line, lines.fault)
            if not isinstance(values, dict):
                raise lines.fault(f"must be a JSON object, got {short(values)}")
            if columns.image not in values:
                raise lines.fault(
                    f"no key {columns.image!r}; there are {sorted(values)}; name the image column with an option"
                )
            if unchecked and not {columns.text, columns.texts, columns.label} & set(values):
                raise lines.fault(no_text(columns, sorted(values)))
            unchecked = False
            path = _checked_path(values[columns.image], columns.image, lines, lines.number)
            texts = [text for name in (columns.text, columns.texts) for text in strings(values, name, lines.fault)]
            key = word(values, columns.key, lines.fault)
            if columns.key in values and not key:
                raise lines.fault(f"key {columns.key!r} is empty; give every row a key or none")
            yield Row(path, tuple(texts), word(values, columns.label, lines.fault), key)


def _records(lines: Lines, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Yields (fields, the line where the record begins), quoted as in Python's csv module; blank lines are skipped."""
    # strict: a stray quote is an error; otherwise it would swallow rows up to the next one.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.number + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise lines.fault(f'{error}; quote fields as "..." and a quote inside as ""', line) from error
        if fields is None:
            return
        if fields:
            yield fields, line


def _checked_path(value: Any, name: str, lines: Lines, line: int) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise lines.fault(f"{name!r} must be the path of an image, got {short(value)}", line)
    return whole(value, name, functools.partial(lines.fault, line=line))
