"""Matching rows of files with a dataset's rows by key, in any order, with bounded memory.

The keys of both are scattered by hash over parts on disk; each part is matched in memory, and what was found is
scattered again by ranges of shards. So the dataset's rows come back in order, shard by shard, whatever the file's
order was; the result does not depend on how many parts there are.

Promises: a row of a file is paired with the row of its very key, or counted: as surplus, or as one of the images that
failed to be embedded; every row of the dataset without one is counted as missing.
"""

from __future__ import annotations

import dataclasses
import pathlib
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from lit_precompute.precompute.deriving.spill import Spill
from lit_precompute.precompute.sources.source import SourceError

FAILED = -1  # the row of a key that the dataset could not embed
_NONE = -2
_FEW = 5
ROW, KEY, FILE, NUMBER = (
    pa.field(name, kind, nullable=False)
    for name, kind in (("row", pa.int64()), ("key", pa.string()), ("file", pa.int32()), ("number", pa.int64()))
)
_KEYS = pa.schema([KEY, ROW])

Place = Callable[[int, int], str]
"""Returns where a row is, in words, by the numbers of its file and of its place there."""
Tell = Callable[[str, str, str], None]
"""Takes each unmatched key: what it is ("missing", "surplus"), the key, and its place in the file or ""."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matches:
    """How many rows of a file and of a dataset found each other.

    Attributes:
      num_rows: rows of the file.
      num_matched: rows of the dataset that the file has something for.
      num_missing: rows of the dataset that it has nothing for.
      num_surplus: keys that only the file has.
      num_failed: keys of images that could not be embedded.
      first_missing: the first missing rows' keys.
      first_surplus: the first surplus keys, with their places in the file.
      surplus_key: the first of them alone.
    """

    num_rows: int
    num_matched: int
    num_missing: int
    num_surplus: int
    num_failed: int
    first_missing: list[str]
    first_surplus: list[str]
    surplus_key: str | None = None

    def counts(self) -> dict[str, int]:
        """Returns the counts by name, as a manifest records them."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if isinstance(value, int)}


class DatasetKeys:
    """All keys of a dataset, and of what it could not embed, on disk."""

    def __init__(self, folder: pathlib.Path, shard_rows: Int64[np.ndarray, " shards"], num_parts: int):
        """Takes a folder for files, the rows of each shard, and the number of parts, which bounds the memory."""
        self.num_parts = num_parts
        self._ends = np.cumsum(shard_rows)
        # Ranges of whole shards, of about equally many rows. A last shard without rows begins where all end.
        ranges = (self._ends - shard_rows) * num_parts // max(int(shard_rows.sum()), 1)
        self._range_of_shard = np.minimum(ranges, num_parts - 1)
        self._by_hash = Spill(folder / "keys-by-hash", _KEYS, num_parts)
        self._by_range = Spill(folder / "keys-by-range", _KEYS, num_parts)

    def add(self, first_row: int, keys: pa.StringArray) -> None:
        """Adds the next rows' keys."""
        rows = np.arange(first_row, first_row + len(keys))
        batch = pa.RecordBatch.from_arrays([keys, pa.array(rows)], schema=_KEYS)
        self._by_hash.add(batch, hash_parts(keys, self.num_parts))
        self._by_range.add(batch, self.ranges_of(rows))

    def add_failed(self, keys: pa.StringArray) -> None:
        """Adds keys of images that could not be embedded."""
        batch = pa.RecordBatch.from_arrays([keys, pa.array(np.full(len(keys), FAILED))], schema=_KEYS)
        self._by_hash.add(batch, hash_parts(keys, self.num_parts))

    def part(self, number: int) -> pa.Table:
        """Returns the keys of one part of the hash, with their rows."""
        return self._by_hash.read(number)

    def ranges_of(self, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Returns the range of shards that each row is in."""
        return self._range_of_shard[np.searchsorted(self._ends, rows, side="right")]

    def shards(self, range_number: int) -> Iterator[tuple[int, int, pa.Array]]:
        """Yields (shard, its first row, its keys) for the shards of a range, in order."""
        keys = self._by_range.read(range_number)[KEY.name]
        start = 0
        for shard in np.flatnonzero(self._range_of_shard == range_number).tolist():
            first = int(self._ends[shard - 1]) if shard else 0
            num_rows = int(self._ends[shard]) - first
            yield shard, first, pa.concat_arrays([pa.array([], pa.string()), *keys.slice(start, num_rows).chunks])
            start += num_rows


class FileMatcher:
    """The rows of files, which are matched with a dataset's keys."""

    def __init__(self, folder: pathlib.Path, schema: pa.Schema, keys: DatasetKeys):
        """Takes a folder for files, the columns of what the rows say, and the keys, which need not be complete yet."""
        self._keys, self._schema = keys, schema
        self._by_hash = Spill(folder / "rows-by-hash", pa.schema([KEY, FILE, NUMBER, *schema]), keys.num_parts)
        self._by_range = Spill(folder / "rows-by-range", pa.schema([ROW, *schema]), keys.num_parts)

    def add(self, rows: pa.RecordBatch) -> None:
        """Adds rows with their keys and places: key, file, number, and what they say."""
        self._by_hash.add(rows, hash_parts(rows.column(0), self._keys.num_parts))

    def match(
        self, place: Place, *, gather: bool, tell: Tell, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Matches:
        """Matches all rows with all keys.

        Args:
          place: tells where a row is.
          gather: whether several rows may have the same key.
          tell: is told of each key without a partner, in no particular order.
          progress: called with (parts matched, number of parts).

        Raises:
          SourceError: a key repeats, unless rows are gathered.
        """
        found = _Found()
        for part in range(self._keys.num_parts):
            keys, rows = self._keys.part(part), self._by_hash.read(part)
            row_numbers = _match(keys, rows, found, place, gather=gather, tell=tell)
            is_matched = row_numbers >= 0
            matched = rows.select(self._schema.names).filter(pa.array(is_matched))
            row_numbers = row_numbers[is_matched]
            table = pa.Table.from_arrays(
                [pa.array(row_numbers), *matched.columns], schema=pa.schema([ROW, *self._schema])
            )
            start = 0
            for batch in table.to_batches():
                self._by_range.add(batch, self._keys.ranges_of(row_numbers[start : start + len(batch)]))
                start += len(batch)
            self._by_hash.remove(part)
            progress(part + 1, self._keys.num_parts)
        return found.matches(place)

    def rows(self, range_number: int) -> pa.Table:
        """Returns the matched rows of a range of shards, ordered by row; those of one row as in the files."""
        table = self._by_range.read(range_number)
        self._by_range.remove(range_number)
        return table.take(pa.array(np.argsort(table[ROW.name].to_numpy(), kind="stable")))


def hash_parts(keys: pa.Array, num_parts: int) -> Int64[np.ndarray, " n"]:
    """Returns the part that each key belongs to."""
    if num_parts == 1:
        return np.zeros(len(keys), np.int64)
    hashes = np.fromiter((zlib.crc32(key.encode()) for key in keys.to_pylist()), np.int64, len(keys))
    return hashes % num_parts


class _Found:
    """Counts, and the first of what has no partner."""

    def __init__(self) -> None:
        self.num_rows = self.num_matched = self.num_missing = self.num_surplus = self.num_failed = 0
        self._missing: list[tuple[int, str]] = []
        self._surplus: list[tuple[int, int, str]] = []

    def add_missing(self, rows: pa.Table) -> None:
        self.num_missing += len(rows)
        first = rows.sort_by(ROW.name).slice(0, _FEW).to_pylist()
        self._missing = sorted([*self._missing, *((row[ROW.name], row[KEY.name]) for row in first)])[:_FEW]

    def add_surplus(self, rows: pa.Table) -> None:
        self.num_surplus += len(rows)
        first = rows.sort_by([(FILE.name, "ascending"), (NUMBER.name, "ascending")]).slice(0, _FEW).to_pylist()
        self._surplus = sorted([*self._surplus, *((row["file"], row["number"], row["key"]) for row in first)])[:_FEW]

    def matches(self, place: Place) -> Matches:
        return Matches(
            num_rows=self.num_rows,
            num_matched=self.num_matched,
            num_missing=self.num_missing,
            num_surplus=self.num_surplus,
            num_failed=self.num_failed,
            first_missing=[key for _, key in self._missing],
            first_surplus=[f"{key} ({place(file, number)})" for file, number, key in self._surplus],
            surplus_key=self._surplus[0][2] if self._surplus else None,
        )


def _match(
    keys: pa.Table, rows: pa.Table, found: _Found, place: Place, *, gather: bool, tell: Tell
) -> Int64[np.ndarray, " n"]:
    """Returns the dataset's row of each row of a part; below 0 for none."""
    encoded = pa.concat_arrays([pa.array([], pa.string()), *rows[KEY.name].chunks]).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if not gather:
        _refuse_repeats(rows, codes, place)
    value_set = pa.concat_arrays([pa.array([], pa.string()), *keys[KEY.name].chunks])
    at = pc.call_function("index_in", [encoded.dictionary], pc.SetLookupOptions(value_set=value_set))
    at = at.fill_null(len(keys)).to_numpy(zero_copy_only=False)
    row_of = np.append(keys[ROW.name].to_numpy(), _NONE)[at]
    is_found = np.zeros(len(keys) + 1, bool)
    is_found[at] = True
    missing = keys.filter(pa.array(~is_found[:-1] & (keys[ROW.name].to_numpy() >= 0)))
    firsts = np.full(len(row_of), len(rows))
    np.minimum.at(firsts, codes, np.arange(len(rows)))
    surplus = rows.select([KEY.name, FILE.name, NUMBER.name]).take(pa.array(firsts[row_of == _NONE]))
    found.num_rows += len(rows)
    found.num_matched += int((row_of >= 0).sum())
    found.num_failed += int((row_of == FAILED).sum())
    found.add_missing(missing)
    found.add_surplus(surplus)
    for key in missing[KEY.name].to_pylist():
        tell("missing", key, "")
    for row in surplus.to_pylist():
        tell("surplus", row["key"], place(row["file"], row["number"]))
    return row_of[codes]


def _refuse_repeats(rows: pa.Table, codes: Int64[np.ndarray, " n"], place: Place) -> None:
    """Raises SourceError for the first row whose key an earlier one has."""
    order = np.argsort(codes, kind="stable")
    repeats = np.sort(order[1:][codes[order][1:] == codes[order][:-1]])
    if not len(repeats):
        return
    again = int(repeats[0])
    first = int(np.argmax(codes == codes[again]))
    row, earlier = rows.slice(again, 1).to_pylist()[0], rows.slice(first, 1).to_pylist()[0]
    raise SourceError(
        f"{place(row['file'], row['number'])}: keys must be unique, {row['key']!r} was first seen at "
        f"{place(earlier['file'], earlier['number'])}; if a key has one text a line, use --gather"
    )
