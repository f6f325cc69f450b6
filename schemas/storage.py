"""Files of a dataset: names, hashes and atomic writing, in one place.

Promises: what is published here appears whole or not at all, also when the process is killed. Local paths only; remote
datasets are to come in here, through a checked local cache.
"""

import hashlib
import os
import pathlib
import uuid

MANIFEST_NAME = "manifest.json"
WORK_FOLDER = "_work"  # what an unfinished job keeps; gone once the manifest is published
_CHUNK_BYTES = 1 << 20


class DatasetError(ValueError):
    """A dataset, or what was to be written into one, breaks a rule of the format (docs/format.md)."""


def shard_path(table: str, shard: int, num_shards: int) -> str:
    """Returns where a shard's file of one table stands, relative to the dataset."""
    return f"{table}/part-{shard:05d}-of-{num_shards:05d}.arrayrecord"


def temporary_path(directory: str | os.PathLike[str], name: str) -> pathlib.Path:
    """Returns a path under the dataset's work folder that no other attempt uses; its folder exists."""
    folder = pathlib.Path(directory) / WORK_FOLDER / "temporary"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.{uuid.uuid4().hex}"


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with pathlib.Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def publish(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Makes a finished temporary file appear under its name: flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Writes a small UTF-8 file that a reader sees whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(text, encoding="utf-8")
    publish(temporary, path)


def _flush(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
