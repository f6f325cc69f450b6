"""What planning shares: rows cut into work units, and the check that keys are unique."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lit_precompute.precompute.sources.source import FileSlice, SourceError, WorkUnit


def cut_units(path_offsets: Sequence[tuple[str, np.ndarray]], rows_per_shard: int) -> list[WorkUnit]:
    """Returns units over consecutive files.

    Args:
      path_offsets: for each file its path and int64 [rows + 1]: where each row begins, and where the last one ends;
        rows that begin at the same byte can only be read together.
      rows_per_shard: rows of each unit but the last.
    """
    if rows_per_shard < 1:
        raise SourceError(f"rows_per_shard must be >= 1, got {rows_per_shard}")
    ends = np.cumsum([len(offsets) - 1 for _, offsets in path_offsets])
    num_rows = int(ends[-1])
    units: list[WorkUnit] = []
    for number, first_row in enumerate(range(0, num_rows, rows_per_shard)):
        last_row = min(first_row + rows_per_shard, num_rows)
        files: list[FileSlice] = []
        index = int(np.searchsorted(ends, first_row, side="right"))
        while index < len(ends) and (first := int(ends[index]) - len(path_offsets[index][1]) + 1) < last_row:
            path, offsets = path_offsets[index]
            start, stop = max(first_row - first, 0), min(last_row - first, len(offsets) - 1)
            if start < stop:
                files.append(_slice(path, offsets, start, stop))
            index += 1
        unit = WorkUnit(number=number, first_row=first_row, num_rows=last_row - first_row, files=tuple(files))
        units.append(unit)
    return units


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


def repeated_hashes(hashes: np.ndarray) -> set[int]:
    """Returns the hashes that occur more than once: their keys may repeat. Uses 8 bytes per key, unlike a set."""
    values, counts = np.unique(hashes, return_counts=True)
    return set(values[counts > 1].tolist())


def check_repeats(keys: Iterable[tuple[str, str]], suspects: set[int], what_to_do: str) -> None:
    """Raises SourceError if a key repeats; only keys of suspect hashes are compared.

    Args:
      keys: (key, its place) of every row.
      suspects: the hashes from `repeated_hashes`.
      what_to_do: the end of the message.
    """
    first_seen: dict[str, str] = {}
    for key, where in keys:
        if hash(key) in suspects:
            if key in first_seen:
                raise SourceError(
                    f"{where}: keys must be unique, {key!r} was first seen at {first_seen[key]}; {what_to_do}"
                )
            first_seen[key] = where
