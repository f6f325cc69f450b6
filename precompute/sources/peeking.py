"""A peek into one file of a source: its first rows, and what a user can choose from.

Promises: a format that has `peek` reads little more than the rows asked for; of any other, the file is looked into.
What is wrong with a file is told beside what was found, not raised.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from lit_precompute.precompute.sources.source import Example, ListedFile, Source, SourceError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peek:
    """What a peek into one file found.

    Attributes:
      rows: the first ones.
      num_rows: of the whole file, if that is known; a guess from `rows` and sizes otherwise; None without any ground.
      is_exact: whether `num_rows` is known.
      fields: names of columns, keys or members, and the values of the first row, cut; none if the format has no names.
      fault: why no (more) rows could be read; "" if nothing is wrong.
    """

    rows: tuple[Example, ...] = ()
    num_rows: int | None = None
    is_exact: bool = False
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fault: str = ""


@runtime_checkable
class Peekable(Protocol):
    """A source whose format reads the first rows of a file without looking into all of it."""

    def peek(self, file: ListedFile, max_rows: int) -> Peek:
        """Returns the beginning of a file.

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


def peek_into(source: Source, file: ListedFile, max_rows: int, *, is_alone: bool = True) -> Peek:
    """Returns the beginning of a file.

    Args:
      source: the source.
      file: one of its files.
      max_rows: rows to read, at most.
      is_alone: whether it has no other files: without rows, a file among others is fine.

    Raises:
      StorageError: a server or store does not answer.
    """
    fields: Mapping[str, str] = {}
    try:
        if isinstance(source, Peekable):
            return source.peek(file, max_rows)
        if isinstance(source, HasFields):
            fields = source.fields(file)
        return dataclasses.replace(_look(source, file, max_rows, is_alone=is_alone), fields=fields)
    except SourceError as error:
        return Peek(fields=fields, fault=str(error))


def _look(source: Source, file: ListedFile, max_rows: int, *, is_alone: bool) -> Peek:
    look = source.look(file, max_rows)
    if not look.slices and not is_alone:
        return Peek(num_rows=0, is_exact=True)
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
    return Peek(rows=tuple(first), num_rows=num_rows, is_exact=num_rows is not None, fault=fault)
