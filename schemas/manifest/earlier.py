"""manifest.json of format versions 1 and 2, which are still read and no longer written.

Version 2 added int8 vectors with scales, and made probes float32 instead of the stored type. Both have the shards, with
their files' paths, and the source's files in the manifest itself.
"""

from typing import Any, Literal

import pydantic

from lit_precompute.schemas.dataset_files import earlier_shard_file_name
from lit_precompute.schemas.manifest.environments import UNKNOWN_DEVICE
from lit_precompute.schemas.manifest.parts import (
    Count,
    Environment,
    FileInfo,
    Ledger,
    Probe,
    Sha256,
    ShardInfo,
    SourceInfo,
)
from lit_precompute.schemas.storage import DatasetError
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS, StrictModel, TableSchema
from lit_precompute.schemas.tower_card import TowerCard


class EarlierFile(StrictModel):
    """One file of a shard; `path` is always the one that table, shard and number of shards give."""

    path: str
    bytes: Count
    sha256: Sha256
    num_rows: Count
    num_blocks: Count


class EarlierShard(StrictModel):
    """One shard; `files` by table."""

    shard: Count
    rows_read: Count
    num_rows: Count
    num_failures: Count
    files: dict[str, EarlierFile]


class EarlierProbe(StrictModel):
    """A row and its embedding."""

    row: Count
    key: str
    vector: str


class EarlierDocument(StrictModel):
    """The contents of manifest.json."""

    format_version: Literal[1, 2]
    tower: TowerCard
    source: SourceInfo
    job: dict[str, Any]
    order: Literal["source", "shuffled"]
    block_rows: int = pydantic.Field(ge=1, lt=1 << 31)
    tables: list[TableSchema]
    shards: list[EarlierShard]
    ledger: Ledger
    probes: list[EarlierProbe]
    libraries: dict[str, str]
    digest: str

    def check(self, where: str) -> None:
        """Raises DatasetError, with a message that begins with `where`, unless the parts agree with each other."""
        columns = [column for table in self.tables if table.name == EMBEDDINGS for column in table.columns]
        found = {column.name: column.width for column in columns if column.type == "vector"}
        if found != {EMBEDDING: self.tower.output_width}:
            raise DatasetError(
                f"{where}table '{EMBEDDINGS}' must have one vector column, '{EMBEDDING}', of the tower's width "
                f"{self.tower.output_width}, got {found}"
            )
        for table in self.tables:
            self._refuse_later(where, table)
        for place, shard in enumerate(self.shards):
            if shard.shard != place:
                raise DatasetError(f"{where}shards.{place}.shard must be {place}, got {shard.shard}")
            self._check_files(f"{where}shards.{place}", shard)

    def shard_infos(self) -> list[ShardInfo]:
        """Returns the shards as later versions describe them."""
        environment = Environment(device=UNKNOWN_DEVICE, libraries=self.libraries)
        return [
            ShardInfo(
                shard=shard.shard,
                rows_read=shard.rows_read,
                num_rows=shard.num_rows,
                num_failures=shard.num_failures,
                files={
                    table: FileInfo.model_validate(file.model_dump(exclude={"path"}))
                    for table, file in shard.files.items()
                },
                environment=environment,
            )
            for shard in self.shards
        ]

    def later_probes(self) -> list[Probe]:
        """Returns the probes as later versions describe them."""
        return [Probe(row=probe.row, key=probe.key, vectors={EMBEDDINGS: probe.vector}) for probe in self.probes]

    def _refuse_later(self, where: str, table: TableSchema) -> None:
        if table.reference is not None:
            raise DatasetError(
                f"{where}tables.{table.name}.reference needs format_version 3, got {self.format_version}"
            )
        for column in table.columns:
            if self.format_version == 1 and (column.type == "scale" or column.vector_type == "int8"):
                raise DatasetError(
                    f"{where}tables.{table.name}.{column.name}: int8 vectors and their scales need format_version 2, "
                    "got 1"
                )

    def _check_files(self, where: str, shard: EarlierShard) -> None:
        """Raises unless every file is a table's, under the one name that it can have: a manifest names no others."""
        tables = [table.name for table in self.tables]
        if missing := set(tables) - set(shard.files):
            raise DatasetError(f"{where}.files: table '{min(missing)}' is missing")
        for name, file in shard.files.items():
            if name not in tables:
                raise DatasetError(f"{where}.files: must be of the tables {tables}, got {name!r}")
            expected = earlier_shard_file_name(name, shard.shard, len(self.shards))
            if file.path != expected:
                raise DatasetError(f"{where}.files.{name}.path: must be {expected!r}, got {file.path!r}")
