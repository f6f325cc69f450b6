"""Publishing: a shard's files, each whole or not at all, and the manifest after all shards.

Published files never change; publishing the same files twice does no harm.
"""

import importlib.metadata
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_precompute.schemas.manifest import FORMAT_VERSION, Manifest, check_width, digest
from lit_precompute.schemas.manifest_parts import FileInfo, Ledger, Note, Probe, ShardInfo, SourceInfo
from lit_precompute.schemas.reading.table_reader import TableReader
from lit_precompute.schemas.storage import (
    MANIFEST_NAME,
    file_sha256,
    publish,
    shard_path,
    write_text_atomically,
)
from lit_precompute.schemas.tables import TableSchema
from lit_precompute.schemas.tower_card import TowerCard
from lit_precompute.schemas.writing.table_writer import TableWriter

_LIBRARIES = ("lit-precompute", "array-record", "pyarrow", "numpy")


def publish_shard(
    directory: str | os.PathLike[str], writers: Mapping[str, TableWriter], *, shard: int, num_shards: int
) -> dict[str, FileInfo]:
    """Renames a shard's closed temporary files to their final names, and returns their entries for the manifest.

    Args:
      directory: the dataset.
      writers: the writers of the files, by table.
      shard: number of the shard.
      num_shards: the dataset's number of shards; part of the names.
    """
    files: dict[str, FileInfo] = {}
    for table, writer in writers.items():
        path = shard_path(table, shard, num_shards)
        files[table] = FileInfo(
            path=path,
            bytes=writer.path.stat().st_size,
            sha256=file_sha256(writer.path),
            num_rows=writer.num_rows,
            num_blocks=writer.num_blocks,
        )
        publish(writer.path, pathlib.Path(directory) / path)
    return files


def publish_manifest(
    directory: str | os.PathLike[str],
    *,
    shards: Sequence[ShardInfo],
    tables: Sequence[TableSchema],
    tower: TowerCard,
    source: SourceInfo,
    probes: Sequence[Probe] = (),
    notes: Iterable[Note] = (),
    job: Mapping[str, Any] | None = None,
    block_rows: int = 1024,
    order: str = "source",
    libraries: Mapping[str, str] | None = None,
) -> Manifest:
    """Writes manifest.json over finished shards and returns it.

    Args:
      directory: the dataset; it contains every file that `shards` names.
      shards: all shards, in any order.
      tables: schemas of the tables, `embeddings` among them.
      tower: the tower that made the embeddings.
      source: what was embedded.
      probes: rows with their float32 embeddings, ascending (schemas/probes.py); without any there is no receipt.
      notes: what was left out of the source without losing a row; those of one kind are added up.
      job: options of the producer, as JSON.
      block_rows: rows of every block but a shard's last.
      order: `source` or `shuffled`.
      libraries: more modules whose versions are recorded, each with the distribution that usually provides it; where
        another one provides it, that one is recorded.

    Raises:
      DatasetError: a shard's file is missing or of the wrong size, counts do not add up, or widths differ.
    """
    shards = sorted(shards, key=lambda shard: shard.shard)
    check_width("", tables, tower)
    check_files(directory, tables, shards)
    written = sum(shard.num_rows for shard in shards)
    failed = sum(shard.num_failures for shard in shards)
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "tower": tower.model_dump(),
        "source": source.model_dump(),
        "job": dict(job or {}),
        "order": order,
        "block_rows": block_rows,
        "tables": [table.model_dump() for table in tables],
        "shards": [shard.model_dump() for shard in shards],
        "ledger": Ledger(rows_read=written + failed, rows_written=written, rows_failed=failed).model_dump(),
        "notes": [note.model_dump() for note in add_up(notes)],
        "probes": [probe.model_dump() for probe in probes],
        "libraries": _versions(libraries or {}),
    }
    manifest = Manifest.model_validate({**content, "digest": digest(content)})
    path = pathlib.Path(directory) / MANIFEST_NAME
    write_text_atomically(path, manifest.to_text())
    return Manifest.read(directory)


def check_files(directory: str | os.PathLike[str], tables: Iterable[TableSchema], shards: Sequence[ShardInfo]) -> None:
    """Checks that every file is there and has its size.

    Raises:
      DatasetError: a file is missing, or its size differs.
    """
    for table in tables:
        TableReader(pathlib.Path(directory), table, [shard.files[table.name] for shard in shards])  # checks as it opens


def add_up(notes: Iterable[Note]) -> list[Note]:
    """Returns one note of each kind, most frequent first: the sum of the counts, and the first place in order."""
    kinds: dict[str, Note] = {}
    for note in notes:
        known = kinds.get(note.what)
        kinds[note.what] = note if known is None else known.model_copy(update={"count": known.count + note.count})
    return sorted(kinds.values(), key=lambda note: (-note.count, note.what))


def _versions(libraries: Mapping[str, str]) -> dict[str, str]:
    more = [_distribution(module, usual) for module, usual in libraries.items()]
    names = {*_LIBRARIES, *(name for name in more if name is not None)}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def _distribution(module: str, usual: str) -> str | None:
    """Returns the installed distribution that provides a module; None if its installer left no metadata."""
    try:
        importlib.metadata.version(usual)
    except importlib.metadata.PackageNotFoundError:
        found = importlib.metadata.packages_distributions().get(module, [])
        return min((re.sub(r"[-_.]+", "-", name).lower() for name in found), default=None)
    return usual
