"""How a dataset is shuffled: what is read at once, and which rows each new shard has."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Environment
from lit_precompute.schemas.sharing.shuffling.permutation import Permutation, Rows
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import FAILURES, KEY, TableSchema

# Whole shards with together at least as many rows are read at once.
UNIT_ROWS = 131_072
PLACE = "place"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShufflePlan:
    """A dataset in its new order. Row `places(row)` of the new dataset is row `row` of the old one.

    Attributes:
      manifest: of the dataset.
      seed: of the permutation.
      rows_per_shard: rows of each new shard but the last.
      unit_rows: whole shards with together at least as many rows are read at once.
    """

    manifest: Manifest
    seed: int
    rows_per_shard: int
    unit_rows: int = UNIT_ROWS

    def __post_init__(self) -> None:
        """Raises DatasetError or ValueError for what cannot be shuffled."""
        if self.rows_per_shard < 1:
            raise ValueError(f"--rows-per-shard must be >= 1, got {self.rows_per_shard}")
        Permutation(self.seed, self.manifest.num_rows)
        for table in self.manifest.tables:
            if not table.aligned and table.name != FAILURES:
                raise DatasetError(f"table '{table.name}': its rows are not the dataset's, which cannot be shuffled")

    @property
    def num_shards(self) -> int:
        """New shards; of a dataset without rows, one for its failures."""
        return max(1, -(-self.manifest.num_rows // self.rows_per_shard))

    @property
    def aligned(self) -> list[TableSchema]:
        """The aligned tables."""
        return [table for table in self.manifest.tables if table.aligned]

    @property
    def failures(self) -> TableSchema | None:
        """The table of failures, if there is one."""
        return next((table for table in self.manifest.tables if not table.aligned), None)

    @property
    def tables(self) -> list[TableSchema]:
        """The new dataset's tables: all its own."""
        return [table.model_copy(update={"reference": None}) for table in self.manifest.tables]

    def units(self) -> list[range]:
        """Returns the numbers of the old shards that are read at once."""
        units, first, num_rows = list[range](), 0, 0
        for shard, rows in enumerate(self.manifest.shards.num_rows.tolist()):
            num_rows += rows
            if num_rows >= self.unit_rows:
                units.append(range(first, shard + 1))
                first, num_rows = shard + 1, 0
        if first < len(self.manifest.shards):
            units.append(range(first, len(self.manifest.shards)))
        return units

    def places(self, rows: Rows) -> Rows:
        """Returns where rows go."""
        return Permutation(self.seed, self.manifest.num_rows).places(rows)

    def shards_of_failures(self, failures: Rows) -> Rows:
        """Returns the new shards of failures by their numbers: in order, as many in each."""
        return failures * self.num_shards // max(1, self.manifest.num_failures)

    def shard_rows(self, shard: int) -> int:
        """Returns how many rows a new shard has."""
        start = shard * self.rows_per_shard
        return min(start + self.rows_per_shard, self.manifest.num_rows) - start

    def schema(self) -> pa.Schema:
        """Returns the columns of a row on its way: its new place, its key, and those of all aligned tables."""
        fields = [pa.field(PLACE, pa.int64(), nullable=False), self.aligned[0].arrow_schema().field(KEY)]
        for table in self.aligned:
            fields += [field.with_name(column_name(table, field.name)) for field in _values(table)]
        return pa.schema(fields)

    def environment(self) -> Environment:
        """Returns what the new shards were made with: rows of every old shard are in each of them."""
        found: Sequence[Environment] = self.manifest.shards.environments
        libraries: dict[str, list[str]] = {}
        for each in found:
            for name, version in each.libraries.items():
                libraries.setdefault(name, []).append(version)
        return Environment(
            device=_together([each.device for each in found]),
            libraries={name: _together(versions) for name, versions in sorted(libraries.items())},
        )


def column_name(table: TableSchema, column: str) -> str:
    """Returns the name of a table's column on its way; tables may have columns of one name."""
    return f"{table.name}/{column}"


def values_of(table: TableSchema) -> list[str]:
    """Returns the names of a table's columns but the key."""
    return [field.name for field in _values(table)]


def first_rows(counts: Rows) -> Rows:
    """Returns the number of each shard's first row."""
    return np.cumsum(counts) - counts


def _values(table: TableSchema) -> list[pa.Field]:
    return [field for field in table.arrow_schema() if field.name != KEY]


def _together(words: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(words))
