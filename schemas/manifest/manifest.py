"""The manifest: what a reader must know before it opens a shard.

manifest.json is published last. A directory without one is an unfinished job, never a short dataset. It contains no
time stamp and no host name: the same job gives the same manifest, to the byte. Two lists beside it, of shards and of
the source's files, are covered by its digest.

Version 2 added int8 vectors with scales, and made probes float32 instead of the stored type. Version 3 added several
tables of embeddings, notes, attachments, references and environments, and took the lists out. All are read.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.json_files import JsonFileError, faults_in_words, parse_json_object
from lit_precompute.schemas.manifest.collecting import collect_shards
from lit_precompute.schemas.manifest.document import Document, digest
from lit_precompute.schemas.manifest.earlier import EarlierDocument
from lit_precompute.schemas.manifest.parts import (
    Attachment,
    Ledger,
    ListInfo,
    Note,
    Probe,
    Reference,
)
from lit_precompute.schemas.manifest.published import read_published
from lit_precompute.schemas.manifest.shard_list import ShardList
from lit_precompute.schemas.manifest.source import SHARD_LIST, SOURCE_LIST, ManifestSource, read_list
from lit_precompute.schemas.storage import MANIFEST_NAME, DatasetError, Folder
from lit_precompute.schemas.tables import EMBEDDINGS, TableSchema, json_digest
from lit_precompute.schemas.text_tower_card import is_text_embeddings
from lit_precompute.schemas.tower_card import TowerCard

FORMAT_VERSION = 3


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Manifest:
    """A manifest and its lists, checked (docs/format.md describes every key). Equal where the digests are."""

    format_version: int
    towers: Mapping[str, TowerCard]
    source: ManifestSource
    job: Mapping[str, Any]
    order: str
    block_rows: int
    tables: Sequence[TableSchema]
    shards: ShardList
    ledger: Ledger
    notes: Sequence[Note]
    probes: Sequence[Probe]
    attachments: Mapping[str, Attachment]
    references: Sequence[Reference]
    lists: Mapping[str, ListInfo]
    digest: str

    def __eq__(self, other: object) -> bool:
        """Returns whether both are of the same bytes."""
        return isinstance(other, Manifest) and self.digest == other.digest

    def __hash__(self) -> int:
        """Returns a hash."""
        return hash(self.digest)

    @property
    def tower(self) -> TowerCard:
        """The card of the table `embeddings`."""
        return self.towers[EMBEDDINGS]

    @property
    def num_rows(self) -> int:
        """Rows of every aligned table."""
        return self.ledger.rows_written

    @property
    def num_failures(self) -> int:
        """Rows of `failures`."""
        return self.ledger.rows_failed

    @property
    def smallest_table(self) -> str:
        """The aligned table of the fewest bytes: the one from which keys are read, which every table has."""
        return min((table.name for table in self.tables if table.aligned), key=self.shards.table_bytes)

    def table(self, name: str) -> TableSchema:
        """Returns a table's schema.

        Raises:
          DatasetError: the dataset has no such table.
        """
        for table in self.tables:
            if table.name == name:
                return table
        advice = "; `lit-data derive --text-embeddings-of` makes such a table" if is_text_embeddings(name) else ""
        raise DatasetError(f"unknown table '{name}': the dataset has {[table.name for table in self.tables]}{advice}")

    def table_digest(self, name: str) -> str:
        """Returns the SHA-256 of one table: its schema, and each shard's rows and file in order.

        It does not depend on where the files are or which other tables exist.

        Raises:
          DatasetError: the dataset has no such table.
        """
        schema = self.table(name).content_json()
        rows, hashes = self.shards.rows_of(name), self.shards.files[name].sha256
        shards = [[num_rows, sha256.tobytes().hex()] for num_rows, sha256 in zip(rows.tolist(), hashes, strict=True)]
        return json_digest({"schema": schema, "shards": shards})

    def summary(self) -> dict[str, Any]:
        """Returns as JSON all that does not grow with the dataset, and how many shards each environment made."""
        counts = np.bincount(self.shards.environment, minlength=len(self.shards.environments)).tolist()
        environments = zip(self.shards.environments, counts, strict=True)
        return {
            **{name: getattr(self, name) for name in ("format_version", "order", "block_rows", "digest")},
            "job": dict(self.job),
            "source": {
                **{name: getattr(self.source, name) for name in ("kind", "path", "num_files", "num_bytes")},
                "options": dict(self.source.options),
            },
            "ledger": self.ledger.model_dump(),
            "towers": {table: tower.model_dump() for table, tower in self.towers.items()},
            "tables": [table.to_json() for table in self.tables],
            "notes": [note.model_dump() for note in self.notes],
            "attachments": {name: attachment.model_dump() for name, attachment in self.attachments.items()},
            "references": [reference.model_dump() for reference in self.references],
            "environments": [{**each.model_dump(), "num_shards": count} for each, count in environments],
            "num_shards": len(self.shards),
            "bytes": {table.name: self.shards.table_bytes(table.name) for table in self.tables},
        }

    @classmethod
    def read(cls, directory: str | os.PathLike[str] | Folder) -> "Manifest":
        """Returns the manifest of a finished dataset, at a local path, a URL or in a folder.

        Raises:
          DatasetError: there is none, it is of a newer version, it or a list breaks a rule, or was edited.
        """
        folder = dataset_folder(directory)
        where = folder.join(MANIFEST_NAME)
        try:
            content = parse_json_object(read_published(folder), where, _FETCH_AGAIN)
        except JsonFileError as error:
            raise DatasetError(str(error)) from error
        version = content.get("format_version")
        if type(version) is not int or version < 1:
            raise DatasetError(f"{where}: format_version must be a number from 1 to {FORMAT_VERSION}, got {version!r}")
        if version > FORMAT_VERSION:
            raise DatasetError(
                f"{where}: format_version is {version}, this library reads up to {FORMAT_VERSION}; "
                "update lit-precompute"
            )
        model = EarlierDocument if version < 3 else Document
        try:
            document = model.model_validate_json(json.dumps(content))
        except pydantic.ValidationError as error:
            raise DatasetError(f"{where}: {faults_in_words(error)}") from error
        expected = digest(content)
        if document.digest != expected:
            raise DatasetError(
                f"{where}: digest must be {expected}, got {document.digest}; the file was changed after it was "
                f"written: {_FETCH_AGAIN}"
            )
        document.check(f"{where}: ")
        manifest = cls._of(document, folder, where)
        _check_sums(where, manifest)
        return manifest

    @classmethod
    def _of(cls, document: Document | EarlierDocument, folder: Folder, where: str) -> "Manifest":
        common: dict[str, Any] = {
            name: getattr(document, name)
            for name in ("format_version", "job", "order", "block_rows", "tables", "ledger", "digest")
        }
        tables, block_rows = document.tables, document.block_rows
        if isinstance(document, EarlierDocument):
            source = document.source
            num_bytes = sum(file.bytes for file in source.files)
            shards = collect_shards(document.shard_infos(), tables=tables, block_rows=block_rows, where=where)
            return cls(
                **common,
                towers={EMBEDDINGS: document.tower},
                source=ManifestSource(
                    kind=source.kind,
                    path=source.path,
                    options=source.options,
                    num_files=len(source.files),
                    num_bytes=num_bytes,
                    _files=source.files,
                ),
                shards=dataclasses.replace(shards, has_earlier_names=True),
                notes=[],
                probes=document.later_probes(),
                attachments={},
                references=[],
                lists={},
            )
        name, data = read_list(folder, SHARD_LIST, document.lists.shards)
        shards = ShardList.decode(
            data,
            tables=tables,
            environments=document.environments,
            block_rows=block_rows,
            where=folder.join(name),
        )
        return cls(
            **common,
            towers=document.towers,
            source=ManifestSource(**dict(document.source), _list=(folder, document.lists.source)),
            shards=shards,
            notes=document.notes,
            probes=document.probes,
            attachments=document.attachments,
            references=document.references,
            lists={SHARD_LIST: document.lists.shards, SOURCE_LIST: document.lists.source},
        )


_FETCH_AGAIN = "fetch it again from where the dataset came from"


def _check_sums(where: str, manifest: Manifest) -> None:
    """Raises DatasetError unless ledger and probes agree with the shards."""
    shards = manifest.shards
    written, failed = sum(shards.num_rows.tolist()), sum(shards.num_failures.tolist())
    found = Ledger(rows_read=written + failed, rows_written=written, rows_failed=failed)
    if manifest.ledger != found:
        raise DatasetError(
            f"{where}: the ledger must add up: shards have {found!r}, the ledger says {manifest.ledger!r}"
        )
    rows = [probe.row for probe in manifest.probes]
    if rows != sorted({*rows}) or (rows and rows[-1] >= manifest.num_rows):
        raise DatasetError(f"{where}: probes.row must ascend and be in [0, {manifest.num_rows}), got {rows}")
