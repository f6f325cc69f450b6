"""What a layout is to the commands: a name, options of its own, what reads it, and what writes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.precompute.exchange.rows import ImportSource


class LayoutWriter(Protocol):
    """Writes rows in a layout."""

    @property
    def holds(self) -> Sequence[str]:
        """Names of the tables that it writes; the others are left out, which is said."""
        ...

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """Writes the files of a part."""
        ...

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """Returns small files that are written after all others, by name."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How a layout is read.

    Attributes:
      options: class of the options, a frozen dataclass whose docstrings are the help.
      open: returns the source at a path, with options, in units of at most so many rows.
    """

    options: type[Any]
    open: Callable[[str, Any, int], ImportSource]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writing:
    """How a layout is written.

    Attributes:
      options: class of the options.
      open: returns what writes a dataset's rows.
      rows_per_file: rows of each file unless the user says otherwise; None for one file of all rows.
    """

    options: type[Any]
    open: Callable[[ExportReader, Any], LayoutWriter]
    rows_per_file: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """A layout of embeddings that other programs read or write.

    Attributes:
      name: by which commands know it.
      reading: None for one that is not imported.
      writing: None for one that is not exported.
    """

    name: str
    reading: Reading | None = None
    writing: Writing | None = None
