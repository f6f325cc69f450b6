"""A derived dataset's manifest, composed of its base's and of what is added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.precompute.deriving.additions.addition import Addition
from lit_precompute.precompute.deriving.additions.kept_texts import CAPTIONS
from lit_precompute.precompute.deriving.additions.vectors import DatasetVectors
from lit_precompute.precompute.deriving.base import path_from, refer
from lit_precompute.schemas import (
    FileInfo,
    Manifest,
    Note,
    Probe,
    Reference,
    ShardInfo,
    TableSchema,
    TowerCard,
    publish_manifest,
)
from lit_precompute.schemas.dataset_files import read_attachments
from lit_precompute.schemas.storage import Folder
from lit_precompute.schemas.text_tower_card import info_attachment, is_text_embeddings
from lit_precompute.schemas.token_tables import is_token_table


class Composition:
    """Collects tables, and where their files are."""

    def __init__(self, folder: Folder, base: Manifest, output: Folder):
        """Takes the base, its manifest, and the folder of the derived dataset."""
        self._folder, self._base, self._output = folder, base, output
        self._own: list[TableSchema] = []
        self._files: list[dict[str, FileInfo]] = [{} for _ in range(len(base.shards))]
        self._referred: list[tuple[DatasetVectors, Reference]] = []
        self._towers: dict[str, DatasetVectors] = {}
        self._notes: list[Note] = []
        self._attachments: dict[str, bytes] = {}

    def attach(self, name: str, data: bytes) -> None:
        """Adds an attachment beside the base's."""
        self._attachments[name] = data

    def add_own(self, tables: Sequence[TableSchema], files: Sequence[Mapping[str, FileInfo]]) -> None:
        """Adds tables of the dataset's own, and their files by shard."""
        self._own += tables
        for mine, others in zip(self._files, files, strict=True):
            mine.update(others)

    def add_notes(self, notes: Sequence[Note]) -> None:
        """Adds notes on own tables."""
        self._notes += notes

    def add_referred(self, vectors: DatasetVectors, reference: Reference) -> None:
        """Adds a table of another dataset, where it is."""
        self._referred.append((vectors, reference))
        self._add_tower(vectors)

    def add_provenance(self, addition: Addition) -> None:
        """Adds what is known of an own table: notes, and the tower of embeddings."""
        self._notes += addition.notes()
        if isinstance(addition, DatasetVectors):
            self._add_tower(addition)

    def publish(self, job: Mapping[str, Any]) -> Manifest:
        """Writes the manifest, and returns it."""
        base = self._base
        added = [*(table.name for table in self._own), *(vectors.table.name for vectors, _ in self._referred)]
        # Tokens, and text embeddings that were made here, are those of the captions beside them.
        stale = [table.name for table in base.tables if CAPTIONS in added and self._is_of_captions(table.name)]
        tables, references = refer(self._output, self._folder, base, [*added, *stale])
        kept = [table.name for table in tables]
        for vectors, reference in self._referred:
            place = reference.model_copy(update={"path": path_from(self._output.path, reference.path)})
            references += [place] if place not in references else []
            number = references.index(place)
            tables.append(vectors.table.model_copy(update={"reference": number}))
        return publish_manifest(
            self._output,
            shards=self._shards(kept),
            tables=_in_order(base.tables, [*tables, *self._own]),
            towers=self._cards(kept),
            source=base.source.info(),
            probes=self._probes(kept),
            notes=[*base.notes, *self._notes],
            job={**job, "base_job": dict(base.job)},
            block_rows=base.block_rows,
            order=base.order,
            attachments={**self._kept_attachments([*added, *stale]), **self._attachments},
            references=references,
        )

    def _is_of_captions(self, table: str) -> bool:
        return is_token_table(table) or (is_text_embeddings(table) and info_attachment(table) in self._base.attachments)

    def _kept_attachments(self, left_out: Sequence[str]) -> dict[str, bytes]:
        """Returns the base's attachments but for those that describe tables which are left out."""
        kept = {
            name: each for name, each in self._base.attachments.items() if name.removesuffix(".json") not in left_out
        }
        return read_attachments(self._folder, kept)

    def _add_tower(self, vectors: DatasetVectors) -> None:
        if vectors.is_of_images:
            self._towers[vectors.table.name] = vectors
        else:
            self._attachments |= vectors.info()

    def _shards(self, kept: Sequence[str]) -> Iterator[ShardInfo]:
        """Yields the shards; their notes are among the base's."""
        for shard in self._base.shards:
            files = {name: file for name, file in shard.files.items() if name in kept}
            for vectors, _ in self._referred:
                if (file := vectors.file(shard.shard)) is not None:
                    files[vectors.table.name] = file
            yield shard.model_copy(update={"files": {**files, **self._files[shard.shard]}, "notes": []})

    def _cards(self, kept: Sequence[str]) -> dict[str, TowerCard]:
        cards = {name: card for name, card in self._base.towers.items() if name in kept}
        for name, vectors in self._towers.items():
            assert vectors.tower is not None, "a table of embeddings has a tower"
            cards[name] = vectors.tower
        return cards

    def _probes(self, kept: Sequence[str]) -> list[Probe]:
        """Returns the rows whose float32 is known for every table of embeddings; that of version 1 is not."""
        if any(
            manifest.format_version == 1
            for manifest in (self._base, *(each.manifest for each in self._towers.values()))
        ):
            return []
        others = {
            name: {probe.key: probe.vectors[vectors.origin.name] for probe in vectors.manifest.probes}
            for name, vectors in self._towers.items()
        }
        probes: list[Probe] = []
        for probe in self._base.probes:
            if all(probe.key in of_table for of_table in others.values()):
                own = {name: vector for name, vector in probe.vectors.items() if name in kept}
                vectors = {name: of_table[probe.key] for name, of_table in others.items()}
                probes.append(probe.model_copy(update={"vectors": {**own, **vectors}}))
        return probes


def _in_order(before: Sequence[TableSchema], tables: Sequence[TableSchema]) -> list[TableSchema]:
    """Returns tables in the order that they had before; new ones behind the last aligned one."""
    names = [table.name for table in before]
    return sorted(
        tables,
        key=lambda table: (not table.aligned, names.index(table.name) if table.name in names else len(names)),
    )
