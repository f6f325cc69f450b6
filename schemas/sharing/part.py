"""Which part of a dataset is wanted: some tables, some shards, selected rows, the first rows."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.sharing.selection import Rows, Selection
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDINGS, FAILURES

_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")
# Every dataset has them: the ledger is about them.
_ALWAYS = (EMBEDDINGS, FAILURES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a dataset; by default all of it.

    Attributes:
      tables: names of the tables; `embeddings` and `failures` always come along. None for all.
      shards: ranges [start, stop) of shards, ascending and apart. None for all.
      selection: the rows of these shards. None for all.
      max_rows: the first of these rows, at most. None for all.
      is_flat: whether tables that are in other datasets come along, so that nothing is referred to.
    """

    tables: frozenset[str] | None = None
    shards: tuple[tuple[int, int], ...] | None = None
    selection: Selection | None = None
    max_rows: int | None = None
    is_flat: bool = False

    def __post_init__(self) -> None:
        """Raises DatasetError if no row is wanted."""
        if self.max_rows is not None and self.max_rows < 1:
            raise DatasetError(f"--rows must be >= 1, got {self.max_rows}")

    @classmethod
    def parse(
        cls,
        *,
        tables: str | None = None,
        shards: str | None = None,
        selection: str | None = None,
        rows: int | None = None,
    ) -> "Part":
        """Returns the part that is written as `captions,labels`, `0-9,12`, a selection's path and a number of rows.

        Raises:
          FileNotFoundError: there is no such selection.
          DatasetError: a table or range is not written as it should be, or the selection is damaged.
        """
        names = None if tables is None else frozenset(name.strip() for name in tables.split(","))
        if names is not None and "" in names:
            raise DatasetError(f"--tables must be names with commas between them, got {tables!r}")
        return cls(
            tables=names,
            shards=None if shards is None else _ranges(shards),
            selection=None if selection is None else Selection.open(selection),
            max_rows=rows,
        )

    def recorded(self) -> dict[str, Any]:
        """Returns the part as JSON: only what is not all."""
        shards = [str(start) if stop == start + 1 else f"{start}-{stop - 1}" for start, stop in self.shards or ()]
        return {
            **({} if self.tables is None else {"tables": sorted(self.tables)}),
            **({} if self.shards is None else {"shards": ",".join(shards)}),
            **({} if self.selection is None else {"selection": self.selection.digest}),
            **({} if self.max_rows is None else {"rows": self.max_rows}),
            **({"flat": True} if self.is_flat else {}),
        }

    def of(self, manifest: Manifest) -> "Part":
        """Returns the same part of a dataset, where what covers all of it is None.

        Raises:
          DatasetError: the dataset has no such table or shard, or no such row in these shards; or the selection is of
            another one.
        """
        for name in sorted(self.tables or ()):
            manifest.table(name)
        num_shards = len(manifest.shards)
        if self.shards is not None and self.shards[-1][1] > num_shards:
            raise DatasetError(f"--shards: must be from 0 to {num_shards - 1}, got {self.shards[-1][1] - 1}")
        names = frozenset(table.name for table in manifest.tables)
        tables = None if self.tables is None else self.tables | (names & {*_ALWAYS})
        shards = None if self.shards == ((0, num_shards),) else self.shards
        is_flat = self.is_flat and bool(manifest.references)
        if self.selection is not None:
            self.selection.check(manifest, "--selection")
        part = Part(
            tables=None if tables == names else tables, shards=shards, selection=self.selection, is_flat=is_flat
        )
        num_all = sum(int(manifest.shards.num_rows[shard]) for shard in part.shard_numbers(num_shards))
        num_rows = sum(len(rows) for _, rows in part.rows_by_shard(manifest))
        if not num_rows and self.selection is not None:
            raise DatasetError("--selection: no row of it is in these shards")
        if not num_rows and part.shards is not None:
            raise DatasetError(f"--shards {self.recorded()['shards']}: these shards have no rows")
        if num_rows == num_all:
            part = dataclasses.replace(part, selection=None)
        is_cut = self.max_rows is not None and self.max_rows < num_rows
        return dataclasses.replace(part, max_rows=self.max_rows if is_cut else None)

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a dataset."""
        return self == Part()

    def shard_numbers(self, num_shards: int) -> Iterable[int]:
        """Returns the numbers of the shards, ascending."""
        if self.shards is None:
            return range(num_shards)
        return (shard for start, stop in self.shards for shard in range(start, stop))

    def rows_by_shard(self, manifest: Manifest) -> Iterator[tuple[int, Rows | range]]:
        """Yields each shard with its rows that are wanted, ascending and counted within it, before `max_rows`."""
        starts = np.cumsum(manifest.shards.num_rows) - manifest.shards.num_rows
        for shard in self.shard_numbers(len(manifest.shards)):
            start, num_rows = int(starts[shard]), int(manifest.shards.num_rows[shard])
            rows = range(num_rows) if self.selection is None else self.selection.rows(start, start + num_rows) - start
            yield shard, rows


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for each in text.split(","):
        match = _RANGE.fullmatch(each.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise DatasetError(f"--shards must be numbers and ranges such as 0-9,12, got {text!r}")
        found.append((int(match[1]), int(match[2] or match[1]) + 1))
    return _merged(sorted(found))


def _merged(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, stop in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return tuple(merged)
