"""A peek into one file of a source: its first rows, and what a user can choose from.

Promises: a format that has `peek` reads little more than the rows asked for; of any other, the file is looked into.
What is wrong with a file is told beside what was found, not raised.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from lit_precompute.precompute.sources.source import Example, FileLook, ListedFile, Source, SourceError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peek:
    """What a peek into one file found.

    Attributes:
      rows: the first ones.
      num_rows: of the whole file, if that is known; a guess from `rows` and sizes otherwise; None without any ground.
      is_exact: whether `num_rows` is known.
      fields: names of columns, keys or members, and the values of the first row, cut; none if the format has no names.
      fault: why no (more) rows could be read; "" if nothing is wrong.
      is_read_whole: whether only reading the whole file tells its rows, so that it is one unit.
    """

    rows: tuple[Example, ...] = ()
    num_rows: int | None = None
    is_exact: bool = False
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fault: str = ""
    is_read_whole: bool = False


@runtime_checkable
class Peekable(Protocol):
    """A source whose format reads the first rows of a file without looking into all of it."""

    def peek(self, file: ListedFile, max_rows: int, max_counted: int) -> Peek:
        """Returns the beginning of a file.

        Args:
          file: the file.
          max_rows: rows to read, at most.
          max_counted: rows to guess the others' number from, if that costs less than reading them.

        Raises:
          SourceError: it cannot be opened.
        """
        ...


@runtime_checkable
class HasFields(Protocol):
    """A source whose format can say what a file's columns or members are, before any of them is chosen."""

    def fields(self, file: ListedFile) -> Mapping[str, str]:
        """Returns names and the values of the first row, cut.

        Raises:
          SourceError: the file cannot be opened, or is damaged.
        """
        ...


def peek_into(source: Source, file: ListedFile, max_rows: int, max_counted: int = 0, *, is_alone: bool = True) -> Peek:
    """Returns the beginning of a file.

    Args:
      source: the file's source.
      file: the file.
      max_rows: rows to read, at most; 0 if only their number is wanted.
      max_counted: rows to guess the others' number from, if that costs less than reading them.
      is_alone: whether it has no other files: without rows, a file among others is fine.

    Raises:
      StorageError: a server or store does not answer.
    """
    fields: Mapping[str, str] = {}
    try:
        if isinstance(source, Peekable):
            return source.peek(file, max_rows, max(max_rows, max_counted))
        if isinstance(source, HasFields):
            fields = source.fields(file)
        look = source.look(file, max(max_rows, 1))
        if not look.slices and not is_alone:
            return Peek(num_rows=0, is_exact=True, fields=fields)
        return dataclasses.replace(first_rows(source, look, max_rows), fields=fields)
    except SourceError as error:
        return Peek(fields=fields, fault=str(error))


def first_rows(source: Source, look: FileLook, max_rows: int) -> Peek:
    """Returns the beginning of a file that was looked into."""
    survey = source.survey([look])
    rows = (row for part in look.slices for row in source.read(part, survey.tables))
    known = [part.num_rows for part in look.slices if part.num_rows is not None]
    num_rows = sum(known) if len(known) == len(look.slices) else None
    first: list[Example] = []
    fault = ""
    try:
        first += itertools.islice(rows, max_rows)
    except SourceError as error:
        fault = str(error)
    if num_rows is None and len(first) < max_rows and not fault:
        num_rows = len(first)
    return Peek(
        rows=tuple(first),
        num_rows=num_rows,
        is_exact=num_rows is not None,
        fault=fault,
        is_read_whole=len(known) < len(look.slices),
    )


def estimate_rows(files: Sequence[ListedFile], peeked: Sequence[tuple[ListedFile, Peek]]) -> tuple[int | None, bool]:
    """Returns how many rows all files have, and whether that is known; None without any ground.

    Args:
      files: all of them.
      peeked: some of them, with what was found: the others have as many rows a byte, or a file if sizes are not known.
    """
    known = [peek.num_rows for _, peek in peeked]
    if not peeked or any(num_rows is None for num_rows in known):
        return None, False
    seen = sum(num_rows or 0 for num_rows in known)
    if len(peeked) == len(files):
        return seen, all(peek.is_exact for _, peek in peeked)
    size_seen = sum(file.num_bytes or 0 for file, _ in peeked)
    if any(file.num_bytes is None for file in files) or not size_seen:
        return round(seen * len(files) / len(peeked)), False
    return round(seen * sum(file.num_bytes or 0 for file in files) / size_seen), False
