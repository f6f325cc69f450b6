"""A dataset's files: their names, the folder that they are in, and small ones read whole."""

import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from lit_precompute.schemas.storage import (
    HOW_TO_MEND,
    JOB_REPORT_NAME,
    DatasetError,
    Folder,
    absolute,
    file_sha256,
    open_folder,
)

# A file of one block is the block itself; a container would pad it to 131,072 bytes.
BLOCK_SUFFIX, BLOCKS_SUFFIX = ".arrow", ".arrayrecord"
ATTACHMENTS = "attachments"
# On the hub: the dataset's card, and the folder of its tables as Parquet.
CARD_NAME, TWIN = "README.md", "parquet"
# The hash of a file that a shard does not have, because the table has no rows in it.
NO_FILE_SHA256 = hashlib.sha256(b"").hexdigest()


def shard_file_name(table: str, shard: int, num_blocks: int) -> str:
    """Returns the name of a shard's file of one table within its dataset, in format version 3."""
    return f"{table}/part-{shard:05d}{BLOCK_SUFFIX if num_blocks == 1 else BLOCKS_SUFFIX}"


def earlier_shard_file_name(table: str, shard: int, num_shards: int) -> str:
    """Returns the same in format versions 1 and 2."""
    return f"{table}/part-{shard:05d}-of-{num_shards:05d}.arrayrecord"


def list_name(what: str, sha256: str) -> str:
    """Returns the name of a list beside the manifest: by its content, so that no manifest meets another's list."""
    return f"{what}-{sha256[:16]}.arrow"


def is_list_name(name: str) -> bool:
    """Returns whether a file beside a manifest is named like a list."""
    return re.fullmatch(r"(shards|source)-[0-9a-f]{16}\.arrow", name) is not None


def is_beside(name: str) -> bool:
    """Returns whether a file in a dataset's folder is none of the dataset's, and yet belongs there.

    That is a job's report, and what a repository on the hub has for its pages (schemas/sharing/hub/).
    """
    return name in (JOB_REPORT_NAME, CARD_NAME, ".gitattributes") or name.startswith(f"{TWIN}/")


def attachment_name(name: str) -> str:
    """Returns where an attachment is within its dataset."""
    return f"{ATTACHMENTS}/{name}"


def remove_unfinished(folder: Folder, tables: Iterable[str] = ()) -> None:
    """Removes what killed processes have left beside the manifest, among attachments and of these tables."""
    folder.remove_unfinished()
    for name in (ATTACHMENTS, *tables):
        open_folder(folder.join(name)).remove_unfinished()


def dataset_folder(path: str | os.PathLike[str] | Folder) -> Folder:
    """Returns the folder of a dataset, at a local path or a URL.

    Raises:
      DatasetError: the path is what is left of a URL, such as `gs:/bucket`, or on a drive of Windows.
      StorageError: the URL's scheme is unknown, or its package is not installed.
    """
    if not isinstance(path, str | os.PathLike):
        return path
    return open_folder(absolute(path, what="dataset", writing=False))


class Described(Protocol):
    """A file as the manifest describes it."""

    @property
    def bytes(self) -> int:
        """Its size."""
        ...

    @property
    def sha256(self) -> str:
        """Its hash."""
        ...


def read_checked(folder: Folder, name: str, described: Described) -> bytes:
    """Returns the bytes of a small file.

    Raises:
      DatasetError: it is missing, or not the one that the manifest describes.
    """
    try:
        data = folder.read(name)
    except FileNotFoundError as error:
        raise DatasetError(missing_file(folder.join(name))) from error
    check_content(folder.join(name), data, described)
    return data


def read_attachments(folder: Folder, described: Mapping[str, Described]) -> dict[str, bytes]:
    """Returns a dataset's attachments by name, each as its manifest describes it.

    Raises:
      DatasetError: one is missing, or not the one that the manifest describes.
    """
    return {name: read_checked(folder, attachment_name(name), each) for name, each in described.items()}


def check_content(where: str, data: bytes, described: Described) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless these are a file's bytes."""
    check_described(where, len(data), lambda: hashlib.sha256(data).hexdigest(), described)


def check_file(where: str, path: pathlib.Path, described: Described) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless a local file has a file's bytes."""
    check_described(where, path.stat().st_size, lambda: file_sha256(path), described)


def check_described(where: str, num_bytes: int, sha256: Callable[[], str], described: Described) -> None:
    """Raises DatasetError, with a message that begins with `where`, unless size and hash are those of a file."""
    if num_bytes != described.bytes:
        raise DatasetError(wrong_size(where, num_bytes, described.bytes))
    if (found := sha256()) != described.sha256:
        raise DatasetError(
            f"{where}: SHA-256 must be {described.sha256}, got {found}; the file was changed: {HOW_TO_MEND}"
        )


def missing_file(where: str) -> str:
    """Returns what to say of a file that is not there."""
    return f"{where}: the file is missing; {HOW_TO_MEND}"


def wrong_size(where: str, num_bytes: int, expected: int) -> str:
    """Returns what to say of a file of another size."""
    return f"{where}: must have {expected} bytes, got {num_bytes}; the file was truncated or changed: {HOW_TO_MEND}"
