"""What a row of a table is, whatever the file's format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.values import Fault, listed, short, whole


class Row(NamedTuple):
    """The contents of one row. `key` is "" where the path is the key; `notes` are those of an `Example`."""

    path: str
    texts: tuple[str, ...]
    label: str
    key: str
    notes: tuple[str, ...]


class Layout(Protocol):
    """How a table's lines become rows: enough to read any part of the table that begins at a row."""

    def skip_header(self, lines: Lines) -> None: ...

    def rows(self, lines: Lines) -> Iterator[Row]: ...

    def check_names(self, lines: Lines) -> None:
        """Refuses a table of which no row can have a text or label, however empty: an option was most likely forgotten.

        Raises:
          SourceError: the names that there are.
        """
        ...


def checked_path(value: Any, name: str, fault: Fault) -> str:
    """Returns the path of a row's image."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise fault(f"{name!r} must be the path of an image, got {short(value)}")
    return whole(value, name, fault)


def no_text(columns: SourceColumns, names: Iterable[str]) -> str:
    """Returns the error message for a table without texts: usually an option was forgotten."""
    return (
        f"no {columns.text!r}; there are {listed(names)}; give its name as --text-column "
        f"(to embed images without texts, add an empty {columns.text!r})"
    )
