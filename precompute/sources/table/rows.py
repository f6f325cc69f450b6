"""What a row of a table is, whatever the file's format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.table.lines import Lines
from lit_precompute.precompute.sources.values import Fault, listed, short, whole


class Row(NamedTuple):
    """The contents of one row. `key` is that of its column or the path; `notes` and `named` are an `Example`'s."""

    path: str
    texts: tuple[str, ...]
    label: str
    key: str
    notes: tuple[str, ...]
    named: Mapping[str, tuple[str, ...]]


class Layout(Protocol):
    """How a table's lines become rows: enough to read any part of the table that begins at a row."""

    @property
    def sought(self) -> Mapping[str, str]:
        """Names that some row should have, by the option that gives each; none if a header has been checked."""
        ...

    def rows(self, lines: Lines) -> Iterator[Row]: ...


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
