"""What must agree within a manifest, beyond the type of each key; and no file is named outside the dataset."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from lit_precompute.schemas.storage import DatasetError, shard_path
from lit_precompute.schemas.tables import TableSchema

if TYPE_CHECKING:  # it imports this module
    from lit_precompute.schemas.manifest import Manifest, ShardInfo


def check_consistency(path: pathlib.Path, manifest: Manifest) -> None:
    """Raises DatasetError unless version, shards, tables, probes and the ledger agree with each other."""
    if manifest.format_version < 3 and manifest.notes:
        raise DatasetError(f"{path}: notes need format_version 3, got {manifest.format_version}")
    if manifest.format_version == 1:
        _refuse_later_columns(path, manifest)
    written = sum(shard.num_rows for shard in manifest.shards)
    failed = sum(shard.num_failures for shard in manifest.shards)
    sums = {"rows_read": written + failed, "rows_written": written, "rows_failed": failed}
    found = manifest.ledger.model_copy(update=sums)
    if manifest.ledger != found:
        raise DatasetError(
            f"{path}: the ledger must add up: shards have {found!r}, the ledger says {manifest.ledger!r}"
        )
    for place, shard in enumerate(manifest.shards):
        if shard.shard != place:
            raise DatasetError(f"{path}: shards.{place}.shard must be {place}, got {shard.shard}")
        _check_paths(f"{path}: shards.{place}", manifest, shard)
        for table in manifest.tables:
            _check_file(f"{path}: shards.{place}", manifest.block_rows, shard, table)
    rows = [probe.row for probe in manifest.probes]
    if rows != sorted({*rows}) or (rows and rows[-1] >= manifest.num_rows):
        raise DatasetError(f"{path}: probes.row must ascend and be in [0, {manifest.num_rows}), got {rows}")


def _refuse_later_columns(path: pathlib.Path, manifest: Manifest) -> None:
    for table in manifest.tables:
        for column in table.columns:
            if column.type == "scale" or column.vector_type == "int8":
                raise DatasetError(
                    f"{path}: tables.{table.name}.{column.name}: int8 vectors and their scales need "
                    "format_version 2, got 1"
                )


def _check_paths(where: str, manifest: Manifest, shard: ShardInfo) -> None:
    """Raises unless every file is a table's, under the one name that it can have: a manifest names no other files."""
    tables = [table.name for table in manifest.tables]
    for name, file in shard.files.items():
        if name not in tables:
            raise DatasetError(f"{where}.files: must be of the tables {tables}, got {name!r}")
        expected = shard_path(name, shard.shard, len(manifest.shards))
        if file.path != expected:
            raise DatasetError(f"{where}.files.{name}.path: must be {expected!r}, got {file.path!r}")


def _check_file(where: str, block_rows: int, shard: ShardInfo, table: TableSchema) -> None:
    file = shard.files.get(table.name)
    if file is None:
        raise DatasetError(f"{where}.files: table '{table.name}' is missing")
    num_rows = shard.num_rows if table.aligned else shard.num_failures
    num_blocks = -(-num_rows // block_rows)
    if (file.num_rows, file.num_blocks) != (num_rows, num_blocks):
        raise DatasetError(
            f"{where}.files.{table.name}: must have {num_rows} rows in {num_blocks} blocks, "
            f"got {file.num_rows} in {file.num_blocks}"
        )
