"""The manifest: what a reader must know before it opens a shard.

One JSON file per dataset, published last. A directory without a manifest is an unfinished job, never a short dataset.
It contains no time stamp and no host name: the same job gives the same manifest, to the byte.

Version 2 added int8 vectors with scales, and made probes float32 instead of the stored type; version 3 added notes.
Versions 1 and 2 are still read.
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import pydantic

from lit_precompute.schemas.json_files import JsonFileError, faults_in_words, read_json_object
from lit_precompute.schemas.manifest_parts import Ledger, Note, Probe, ShardInfo, SourceInfo
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, refuse_url, shard_path
from lit_precompute.schemas.tables import EMBEDDINGS, StrictModel, TableSchema, json_digest
from lit_precompute.schemas.tower_card import TowerCard

FORMAT_VERSION = 3


class Manifest(StrictModel):
    """The contents of manifest.json (docs/format.md describes every key)."""

    format_version: Literal[1, 2, 3] = FORMAT_VERSION
    tower: TowerCard
    source: SourceInfo
    job: dict[str, Any]
    order: Literal["source", "shuffled"]
    block_rows: int = pydantic.Field(ge=1, lt=1 << 31)
    tables: list[TableSchema]
    shards: list[ShardInfo]
    ledger: Ledger
    notes: list[Note] = pydantic.Field(default_factory=list)  # absent before version 3
    probes: list[Probe]
    libraries: dict[str, str]
    digest: str

    @property
    def num_rows(self) -> int:
        """Rows of every aligned table."""
        return self.ledger.rows_written

    @property
    def num_failures(self) -> int:
        """Rows of `failures`."""
        return self.ledger.rows_failed

    def table(self, name: str) -> TableSchema:
        """Returns a table's schema.

        Raises:
          DatasetError: the dataset has no such table.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise DatasetError(f"unknown table '{name}': the dataset has {[table.name for table in self.tables]}")

    def table_digest(self, name: str) -> str:
        """Returns the SHA-256 of one table: its schema, and each shard's rows and file in order.

        It does not depend on where the files are or which other tables exist.

        Raises:
          DatasetError: the dataset has no such table.
        """
        schema = self.table(name).model_dump()
        files = [shard.files[name] for shard in self.shards]
        return json_digest({"schema": schema, "shards": [[file.num_rows, file.sha256] for file in files]})

    def to_text(self) -> str:
        """Returns the text of manifest.json."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> "Manifest":
        """Returns the manifest of a finished dataset.

        Raises:
          DatasetError: there is none, it is of a newer version, it breaks a rule, it names a file outside the dataset,
            or it was edited.
        """
        refuse_url("dataset", directory)
        path = pathlib.Path(directory) / MANIFEST_NAME
        if not path.is_file():
            raise DatasetError(_why_no_manifest(pathlib.Path(directory)))
        try:
            content = read_json_object(path, "fetch it again from where the dataset came from")
        except JsonFileError as error:
            raise DatasetError(str(error)) from error
        _check_version(path, content)
        try:
            manifest = cls.model_validate_json(json.dumps(content))
        except pydantic.ValidationError as error:
            raise DatasetError(f"{path}: {faults_in_words(error)}") from error
        expected = digest(content)
        if manifest.digest != expected:
            raise DatasetError(
                f"{path}: digest must be {expected}, got {manifest.digest}; the file was changed after it was written: "
                "fetch it again from where the dataset came from"
            )
        _check_consistency(path, manifest)
        return manifest


def check_width(where: str, tables: Sequence[TableSchema], tower: TowerCard) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless embeddings have the tower's width."""
    columns = [column for table in tables if table.name == EMBEDDINGS for column in table.columns]
    widths = [column.width for column in columns if column.type == "vector"]
    if widths != [tower.output_width]:
        raise DatasetError(
            f"{where}table '{EMBEDDINGS}' must have one vector column of the tower's width {tower.output_width}, "
            f"got {widths}"
        )


def digest(content: dict[str, Any]) -> str:
    """Returns the SHA-256 of the manifest's canonical JSON without its `digest`."""
    return json_digest({key: value for key, value in content.items() if key != "digest"})


def _why_no_manifest(directory: pathlib.Path) -> str:
    where = directory / MANIFEST_NAME
    if not directory.is_dir():
        return f"{where}: there is no directory {directory}; check the path"
    if (directory / WORK_FOLDER).is_dir():
        return f"{where}: missing, this is an unfinished job; run its command again to resume"
    return f"{where}: missing, this is not an embedding dataset; check the path"


def _check_version(path: pathlib.Path, content: dict[str, Any]) -> None:
    version = content.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format_version is {version}, this library reads up to {FORMAT_VERSION}; update lit-precompute"
        )


def _check_consistency(path: pathlib.Path, manifest: Manifest) -> None:
    """Raises DatasetError unless version, shards, tables, probes and the ledger agree with each other."""
    if manifest.format_version < 3 and manifest.notes:
        raise DatasetError(f"{path}: notes need format_version 3, got {manifest.format_version}")
    check_width(f"{path}: ", manifest.tables, manifest.tower)
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
