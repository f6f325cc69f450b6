"""What planning shares: slices joined to work units, rows cut into slices, and hashes of keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from lit_precompute.precompute.sources.source import FileSlice, SourceError, WorkUnit


def join_slices(slices: Iterable[FileSlice], rows_per_unit: int) -> Iterator[WorkUnit]:
    """Yields units of consecutive slices, each of at most `rows_per_unit` rows unless a single slice has more.

    A slice whose number of rows is not known is a unit of its own.
    """
    first_row: int | None = 0
    number = 0
    for files in _groups(slices, rows_per_unit):
        known = [part.num_rows for part in files if part.num_rows is not None]
        num_rows = sum(known) if len(known) == len(files) else None
        yield WorkUnit(number=number, files=tuple(files), num_rows=num_rows, first_row=first_row)
        number += 1
        first_row = None if first_row is None or num_rows is None else first_row + num_rows


def _groups(slices: Iterable[FileSlice], rows_per_unit: int) -> Iterator[list[FileSlice]]:
    group: list[FileSlice] = []
    num_rows = 0
    for part in slices:
        if group and (part.num_rows is None or num_rows + part.num_rows > rows_per_unit):
            yield group
            group, num_rows = [], 0
        group.append(part)
        if part.num_rows is None:
            yield group
            group = []
        else:
            num_rows += part.num_rows
    if group:
        yield group


def cut_slices(path: str, offsets: np.ndarray, rows_per_slice: int) -> tuple[FileSlice, ...]:
    """Returns a file's rows as slices of `rows_per_slice` rows; the last may be shorter.

    Args:
      path: of the file.
      offsets: int64 [rows + 1]: where each row begins, and where the last one ends; rows that begin at the same byte
        can only be read together.
      rows_per_slice: at least 1.
    """
    num_rows = len(offsets) - 1
    starts = range(0, num_rows, rows_per_slice)
    return tuple(_slice(path, offsets, first, min(first + rows_per_slice, num_rows)) for first in starts)


def _slice(path: str, offsets: np.ndarray, first: int, last: int) -> FileSlice:
    """Returns the bytes of the rows [first, last) of a file, from where the first one can be read."""
    together = int(np.searchsorted(offsets, offsets[first], side="left"))
    after = int(np.searchsorted(offsets, offsets[last - 1], side="right"))
    return FileSlice(
        path=path,
        start=int(offsets[first]),
        stop=int(offsets[after]),
        num_rows=last - first,
        num_before=first - together,
    )


def hash_keys(keys: Iterable[str]) -> bytes:
    """Returns 8 bytes per key, the same in every process; equal keys have equal hashes."""
    return b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)


def repeated_hashes(hashes: Iterable[bytes]) -> frozenset[bytes]:
    """Returns the hashes that occur more than once: their keys may repeat. Uses 16 bytes per key."""
    values, counts = np.unique(np.frombuffer(b"".join(hashes), np.uint64), return_counts=True)
    return frozenset(value.tobytes() for value in values[counts > 1])


def check_repeats(keys: Iterable[tuple[str, str]], suspects: frozenset[bytes], what_to_do: str) -> None:
    """Raises SourceError if a key repeats; only keys of suspect hashes are compared.

    Args:
      keys: (key, its place) of every row that may repeat another's key.
      suspects: the hashes from `repeated_hashes`.
      what_to_do: the end of the message.
    """
    unique = Uniqueness(what_to_do)
    for key, where in keys:
        if hash_keys([key]) in suspects:
            unique.check(key, where)


class Uniqueness:
    """Checks that no key of a unit repeats."""

    def __init__(self, what_to_do: str):
        """Takes the end of the message."""
        self._what_to_do = what_to_do
        self._first_seen: dict[str, str] = {}

    def check(self, key: str, where: str) -> None:
        """Raises SourceError if the key was seen before."""
        if key in self._first_seen:
            raise SourceError(
                f"{where}: keys must be unique, {key!r} was first seen at {self._first_seen[key]}; {self._what_to_do}"
            )
        self._first_seen[key] = where
