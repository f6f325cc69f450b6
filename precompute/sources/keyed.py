"""Rows of files about images that are known by their keys: sources of tables and columns, without images."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from lit_precompute.precompute.sources.source import FileLook, ListedFile, Source


class KeyedRow(NamedTuple):
    """What a row says of an image that is known by its key: an `Example` without an image.

    `number` is its place in the file, as `KeyedSource.place` takes it.
    """

    key: str
    texts: tuple[str, ...]
    named: Mapping[str, tuple[str, ...]]
    label: str
    notes: tuple[str, ...]
    number: int


@runtime_checkable
class KeyedSource(Source, Protocol):
    """A source that can also read files without images, by one pass over each, as those of tables and columns can."""

    def without_images(self) -> KeyedSource:
        """Returns the source of the same files, whose rows need no images but keys, or paths to be keys."""
        ...

    def keyed_rows(self, file: ListedFile) -> Generator[KeyedRow, None, FileLook]:
        """Yields the rows of a file, and returns what `survey` needs to know of it.

        Raises:
          SourceError: it cannot be opened, is damaged, or a row breaks a rule; the message says which line or row.
        """
        ...

    def place(self, file: ListedFile, number: int) -> str:
        """Returns where a row is, in words."""
        ...
