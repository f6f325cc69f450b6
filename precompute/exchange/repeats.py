"""Finding keys that repeat, whichever files they are in.

Memory holds 8 bytes a key for a part of the keys at a time, at most `_MAX_KEYS` of them: 1 GiB. For more keys, the
hashes are read as often as it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lit_precompute.precompute.exchange.finished import FinishedUnits
from lit_precompute.precompute.exchange.rows import ImportSource, Unit
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.source import SourceError

_MAX_KEYS = 1 << 27


def check_repeats(
    source: ImportSource, units: Sequence[Unit], finished: FinishedUnits, max_keys: int = _MAX_KEYS
) -> None:
    """Checks that keys differ.

    Raises:
      SourceError: two rows have the same key; names both places.
    """
    num_keys = sum(len(hashes) // 8 for hashes in finished.hashes(len(units)))
    num_parts = max(1, -(-num_keys // max_keys))
    for part in range(num_parts):
        repeated = _repeated(finished.hashes(len(units)), part, num_parts)
        if len(repeated):
            suspects = [
                unit
                for unit, hashes in zip(units, finished.hashes(len(units)), strict=True)
                if np.isin(np.frombuffer(hashes, np.uint64), repeated).any()
            ]
            _compare(source, suspects, {value.tobytes() for value in repeated})


def _repeated(hashes: Iterable[bytes], part: int, num_parts: int) -> np.ndarray:
    arrays = (np.frombuffer(each, np.uint64) for each in hashes)
    kept = [array[array % np.uint64(num_parts) == part] if num_parts > 1 else array for array in arrays]
    values = np.sort(np.concatenate([np.empty(0, np.uint64), *kept]))
    return np.unique(values[1:][values[1:] == values[:-1]])


def _compare(source: ImportSource, units: Iterable[Unit], suspects: set[bytes]) -> None:
    """Raises SourceError if keys of equal hashes are equal: different keys may have one hash."""
    places: dict[str, str] = {}
    for key, place in _keys(source, units):
        if hash_keys([key]) in suspects:
            if key in places:
                raise SourceError(
                    f"duplicate key {key!r}: {place}; first seen at {places[key]}. Keys must be unique: choose another "
                    "column for them, or number the rows"
                )
            places[key] = place


def _keys(source: ImportSource, units: Iterable[Unit]) -> Iterator[tuple[str, str]]:
    for unit in units:
        row = 0
        for rows in source.read(unit):
            for key in rows.keys:
                yield key, unit.place(row)
                row += 1
