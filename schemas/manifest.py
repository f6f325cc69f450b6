"""The manifest: what a reader must know before it opens a shard.

One JSON file per dataset, published last. A directory without a manifest is an unfinished job, never a short dataset.
It contains no time stamp and no host name: the same job gives the same manifest, to the byte.

Version 2 added int8 vectors with scales, and made probes float32 instead of the stored type; version 3 added notes.
Versions 1 and 2 are still read.
"""

import json
import os
import pathlib
from typing import Annotated, Any, Literal

import pydantic

from lit_precompute.schemas.manifest_rules import check_consistency
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, refuse_url
from lit_precompute.schemas.tables import StrictModel, TableSchema, json_digest
from lit_precompute.schemas.tower_card import TowerCard

FORMAT_VERSION = 3
Count = pydantic.NonNegativeInt
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class FileInfo(StrictModel):
    """One file of a shard; `path` is relative to the dataset, and always the one that `shard_path` gives."""

    path: str
    bytes: Count
    sha256: Sha256
    num_rows: Count
    num_blocks: Count


class ShardInfo(StrictModel):
    """One finished shard; `files` by table."""

    shard: Count
    rows_read: Count
    num_rows: Count
    num_failures: Count
    files: dict[str, FileInfo]


class SourceFile(StrictModel):
    """One file of the source; with a hash if it was cheap to compute."""

    path: str
    bytes: Count
    sha256: str | None = None


class SourceInfo(StrictModel):
    """What was embedded: the kind of source, its path as given, its files as resolved, and how it was read."""

    kind: str
    path: str
    files: list[SourceFile]
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class Ledger(StrictModel):
    """Rows read = rows written + rows failed."""

    rows_read: Count
    rows_written: Count
    rows_failed: Count


class Note(StrictModel):
    """Something in the source that was left out without losing a row, such as a caption that is not a string.

    `count` says how often, `first` where: the key of a row, or a place in a file.
    """

    what: str
    count: int = pydantic.Field(ge=1)
    first: str


class Probe(StrictModel):
    """A row and its embedding, by which anyone can check that their tower agrees.

    `vector` is base64 of the tower's float32, little-endian; in version 1, of the stored bytes.
    """

    row: Count
    key: str
    vector: str


class Manifest(StrictModel):
    """The contents of manifest.json (docs/format.md describes every key)."""

    format_version: Literal[1, 2, 3] = FORMAT_VERSION
    tower: TowerCard
    source: SourceInfo
    job: dict[str, Any]
    order: Literal["source", "shuffled"]
    block_rows: int = pydantic.Field(ge=1)
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
        content = _load_json(path)
        _check_version(path, content)
        try:
            manifest = cls.model_validate_json(json.dumps(content))
        except pydantic.ValidationError as error:
            raise DatasetError(f"{path}: {_in_words(error)}") from error
        expected = digest(content)
        if manifest.digest != expected:
            raise DatasetError(
                f"{path}: digest must be {expected}, got {manifest.digest}; the file was changed after it was written: "
                "fetch it again from where the dataset came from"
            )
        check_consistency(path, manifest)
        return manifest


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


def _load_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also not UTF-8, or nested too deeply
        raise DatasetError(f"{path}: not JSON ({error}); fetch it again from where the dataset came from") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: must be a JSON object, got {type(content).__name__}")
    return content


def _check_version(path: pathlib.Path, content: dict[str, Any]) -> None:
    version = content.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format_version is {version}, this library reads up to {FORMAT_VERSION}; update lit-precompute"
        )


def _in_words(error: pydantic.ValidationError) -> str:
    """Returns the first errors as `key.key: rule, got value`."""
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}, got {fault['input']!r:.80}"
        for fault in error.errors(include_url=False)
    ]
    return "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
