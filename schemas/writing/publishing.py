"""Publishing a dataset: the manifest after all shards, attachments and lists.

Publishing the same files twice does no harm. Lists are named by their content, so that a manifest never meets the list
of another one, whenever a publisher is killed.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lit_precompute.schemas.dataset_files import attachment_name, dataset_folder, is_list_name, list_name
from lit_precompute.schemas.manifest.collecting import collect_shards
from lit_precompute.schemas.manifest.document import Document, check_attachment_names, check_towers, digest
from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION, Manifest
from lit_precompute.schemas.manifest.parts import Ledger, Note, Probe, Reference, ShardInfo, SourceInfo
from lit_precompute.schemas.manifest.shard_list import ShardList
from lit_precompute.schemas.manifest.source import SHARD_LIST, SOURCE_LIST
from lit_precompute.schemas.manifest.source_list import SourceFileList
from lit_precompute.schemas.reading.table_files import TableLocator
from lit_precompute.schemas.storage import MANIFEST_NAME, WEB_SCHEMES, Folder, list_names
from lit_precompute.schemas.tables import TableSchema
from lit_precompute.schemas.tower_card import TowerCard


def publish_manifest(
    directory: str | os.PathLike[str] | Folder,
    *,
    shards: Iterable[ShardInfo],
    tables: Sequence[TableSchema],
    towers: Mapping[str, TowerCard],
    source: SourceInfo,
    probes: Sequence[Probe] = (),
    notes: Iterable[Note] = (),
    job: Mapping[str, Any] | None = None,
    block_rows: int = 1024,
    order: str = "source",
    attachments: Mapping[str, bytes] | None = None,
    references: Sequence[Reference] = (),
) -> Manifest:
    """Writes attachments, lists and manifest.json over finished shards, and returns the manifest as it is read back.

    Args:
      directory: the dataset, which contains every file that `shards` names: a local path, a URL or a folder.
      shards: all shards, in any order; those of referenced tables with the entries of the referenced dataset.
      tables: schemas of the tables, `embeddings` first.
      towers: the card of each table of embeddings: `embeddings`, and those named `embeddings-NAME`.
      source: what was embedded.
      probes: rows with their float32 embeddings, ascending (schemas/probes.py); without any there is no receipt.
      notes: what was left out of the source without losing a row, beside the shards' own notes; those of one kind are
        added up.
      job: options of the producer, as JSON.
      block_rows: rows of every block but a shard's last.
      order: `source` or `shuffled`.
      attachments: small files that travel with the dataset, by name.
      references: the datasets that tables with a `reference` are in.

    Raises:
      DatasetError: a shard's file is missing or of the wrong size, counts do not add up, or tables and cards differ.
    """
    folder = dataset_folder(directory)
    attachments = attachments or {}
    check_towers("", tables, towers)
    check_attachment_names("", attachments)
    shard_list = collect_shards(shards, tables=tables, block_rows=block_rows)
    source_files = SourceFileList.collect(source.files)
    lists = {SHARD_LIST: shard_list.encode(), SOURCE_LIST: source_files.encode()}
    written, failed = sum(shard_list.num_rows.tolist()), sum(shard_list.num_failures.tolist())
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "towers": {table: tower.model_dump() for table, tower in towers.items()},
        "source": {
            **source.model_dump(exclude={"files"}),
            "num_files": len(source_files),
            "num_bytes": source_files.num_bytes,
        },
        "job": dict(job or {}),
        "order": order,
        "block_rows": block_rows,
        "tables": [table.to_json() for table in tables],
        "environments": [environment.model_dump() for environment in shard_list.environments],
        "ledger": Ledger(rows_read=written + failed, rows_written=written, rows_failed=failed).model_dump(),
        "notes": [note.model_dump() for note in add_up([*notes, *shard_list.all_notes()])],
        "probes": [probe.model_dump() for probe in probes],
        "attachments": {name: _describe(data) for name, data in attachments.items()},
        "references": [reference.model_dump() for reference in references],
        "lists": {what: _describe(data) for what, data in lists.items()},
    }
    content["digest"] = digest(content)
    Document.model_validate(content).check("")
    check_files(folder, shard_list, tables, references)
    _write(folder, content, lists, attachments)
    return Manifest.read(folder)


def check_files(
    directory: str | os.PathLike[str] | Folder,
    shards: ShardList,
    tables: Iterable[TableSchema],
    references: Sequence[Reference] = (),
) -> None:
    """Checks that every file is there and has its size, by one listing for each table; web servers give none.

    Raises:
      DatasetError: a file is missing, or its size differs; or another dataset is not the one referred to.
    """
    locator = TableLocator(dataset_folder(directory), shards, references)
    for table in tables:
        files = locator.files(table)
        if not files.folder.path.startswith(
            WEB_SCHEMES
        ):  # a reference, whose files show their sizes when they are read
            files.check_sizes()


def manifest_bytes(content: Mapping[str, Any]) -> bytes:
    """Returns manifest.json with this content."""
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def add_up(notes: Iterable[Note]) -> list[Note]:
    """Returns one note of each kind, most frequent first: the sum of the counts, and the first place in order."""
    kinds: dict[str, Note] = {}
    for note in notes:
        known = kinds.get(note.what)
        kinds[note.what] = note if known is None else known.model_copy(update={"count": known.count + note.count})
    return sorted(kinds.values(), key=lambda note: (-note.count, note.what))


def _write(
    folder: Folder, content: Mapping[str, Any], lists: Mapping[str, bytes], attachments: Mapping[str, bytes]
) -> None:
    """Writes the manifest after what it names; lists of other manifests are removed, of one that it replaces last."""
    for name, data in attachments.items():
        folder.write(attachment_name(name), data)
    names = {what: list_name(what, _describe(data)["sha256"]) for what, data in lists.items()}
    for what, data in lists.items():
        folder.write(names[what], data)
    is_first = not folder.exists(MANIFEST_NAME)
    others = _lists_there(folder) - set(names.values())
    if is_first:
        folder.remove(*others)  # of a manifest that was withdrawn, or never written because its publisher was killed
    folder.write(MANIFEST_NAME, manifest_bytes(content))
    if not is_first:
        folder.remove(*others)


def _lists_there(folder: Folder) -> set[str]:
    """Returns the names of all lists in a dataset's folder."""
    return {name for name in list_names(folder.path).files if is_list_name(name)}


def _describe(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
