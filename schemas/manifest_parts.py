"""What a manifest is made of: files, shards, the source, the ledger, notes, probes."""

from typing import Annotated, Any

import pydantic

from lit_precompute.schemas.tables import StrictModel

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
