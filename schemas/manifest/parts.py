"""What a manifest and its lists are made of: shards, the source, environments, notes, probes, attachments."""

from typing import Annotated, Any, NamedTuple

import pydantic

from lit_precompute.schemas.dataset_files import BLOCK_SUFFIX
from lit_precompute.schemas.tables import StrictModel

Count = pydantic.NonNegativeInt
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class FileInfo(StrictModel):
    """One file of a shard; its name follows from table, shard and number of blocks (schemas/dataset_files.py)."""

    bytes: Count
    sha256: Sha256
    num_rows: Count
    num_blocks: Count


class Environment(StrictModel):
    """What a shard was made with: the device, such as "cpu" or "NVIDIA H100 80GB HBM3", and libraries' versions."""

    device: str
    libraries: dict[str, str]


class Note(StrictModel):
    """Something in the source that was left out without losing a row, such as a caption that is not a string.

    `count` says how often, `first` where: the key of a row, or a place in a file.
    """

    what: str
    count: int = pydantic.Field(ge=1)
    first: str


class ShardInfo(StrictModel):
    """One finished shard; `files` by table, without those tables that have no rows in it; `notes` about its rows."""

    shard: Count
    rows_read: Count
    num_rows: Count
    num_failures: Count
    files: dict[str, FileInfo]
    environment: Environment
    notes: list[Note] = pydantic.Field(default_factory=list)


class SourceFile(StrictModel):
    """One file of the source; with a hash if it was cheap to compute."""

    path: str
    bytes: Count
    sha256: Sha256 | None = None


class SourceInfo(StrictModel):
    """What was embedded: the kind of source, its path as given, its files as resolved, and how it was read."""

    kind: str
    path: str
    files: list[SourceFile]
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class Ledger(StrictModel):
    """Rows read = rows written + rows failed."""

    rows_read: int = pydantic.Field(ge=0, lt=1 << 62)
    rows_written: Count
    rows_failed: Count


class Probe(StrictModel):
    """A row and its embedding in each table of embeddings, by which anyone can check that their tower agrees.

    `vectors` are base64 of the towers' float32, little-endian, by table; in version 1, of the stored bytes.
    """

    row: Count
    key: str
    vectors: dict[str, str]


class Attachment(StrictModel):
    """A small file that travels with the dataset."""

    bytes: Count
    sha256: Sha256


class Reference(StrictModel):
    """Another dataset that has some of this one's tables: its path relative to this one, or absolute; its digest."""

    path: str = pydantic.Field(min_length=1)
    digest: Sha256


class ListInfo(StrictModel):
    """A list beside the manifest; its name follows from its hash."""

    bytes: Count
    sha256: Sha256


class ShardFile(NamedTuple):
    """One file of a shard as a reader needs it; `name` is within its dataset."""

    name: str
    info: FileInfo

    @property
    def is_one_block(self) -> bool:
        """Whether the file is a block itself, without a container."""
        return self.name.endswith(BLOCK_SUFFIX)
