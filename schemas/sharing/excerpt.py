"""What the manifest of a part of a dataset says: the part's shards, ledger, probes and notes agree with its rows.

Promises: all of it is computed from the manifest alone. Shards are numbered anew. A shard that is cut has no failures
and no notes: neither tells which row of the shard it came before.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.manifest.parts import Note, Probe, Reference
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.tables import TableSchema
from lit_precompute.schemas.tower_card import TowerCard

COPIED_FROM = "copied_from"


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeptShard:
    """A shard of the part.

    Attributes:
      number: in the part.
      origin: its number in the dataset.
      rows: those that are kept, ascending, within the shard, int32 [n]; None for all.
    """

    number: int
    origin: int
    rows: np.ndarray[Any, np.dtype[np.int32]] | None = None


class Excerpt:
    """A part of a dataset as a dataset of its own.

    Attributes:
      part: the part.
      shards: the part's.
      tables: those of the part, first those that the dataset has first.
      references: the datasets that tables of the part are in.
    """

    def __init__(self, manifest: Manifest, part: Part, references: Sequence[Reference]):
        """Takes a part that is not whole, and the dataset's references as they are from the part's place."""
        self._manifest, self.part = manifest, part
        self.shards = list(_kept_shards(manifest, part))
        tables = [table for table in manifest.tables if part.tables is None or table.name in part.tables]
        # A reference is to a whole table.
        can_refer = part.shards is None and part.selection is None and part.max_rows is None and not part.is_flat
        used = sorted({table.reference for table in tables if table.reference is not None}) if can_refer else []
        self.references = [references[number] for number in used]
        self.tables = [_renumbered(table, used) for table in tables]

    @property
    def towers(self) -> dict[str, TowerCard]:
        """The card of each table of embeddings."""
        return {table.name: self._manifest.towers[table.name] for table in self.tables if self._has_tower(table)}

    def probes(self) -> list[Probe]:
        """Returns those of the part's rows; none of format version 1, which have no float32."""
        manifest = self._manifest
        if manifest.format_version == 1:
            return []
        ends = np.cumsum(manifest.shards.num_rows)
        starts, first_row = dict[int, tuple[int, KeptShard]](), 0
        for shard in self.shards:
            starts[shard.origin] = first_row, shard
            first_row += int(manifest.shards.num_rows[shard.origin]) if shard.rows is None else len(shard.rows)
        found: list[Probe] = []
        for probe in manifest.probes:
            origin = int(np.searchsorted(ends, probe.row, side="right"))
            if origin not in starts:
                continue
            first_row, shard = starts[origin]
            within = probe.row - int(ends[origin] - manifest.shards.num_rows[origin])
            if shard.rows is not None:
                place = int(np.searchsorted(shard.rows, within))
                if place == len(shard.rows) or shard.rows[place] != within:
                    continue
                within = place
            vectors = {table: probe.vectors[table] for table in self.towers}
            found.append(Probe(row=first_row + within, key=probe.key, vectors=vectors))
        return found

    def source_notes(self) -> list[Note]:
        """Returns the dataset's notes that are of no single shard: about the source's files, which stay the same."""
        counts = dict[str, int]()
        for note in self._manifest.shards.all_notes():
            counts[note.what] = counts.get(note.what, 0) + note.count
        left = ((note, note.count - counts.get(note.what, 0)) for note in self._manifest.notes)
        return [note.model_copy(update={"count": count}) for note, count in left if count > 0]

    def notes_of(self, shard: KeptShard) -> list[Note]:
        """Returns the notes of a shard."""
        return [] if shard.rows is not None else list(self._manifest.shards.notes.get(shard.origin, ()))

    def job(self) -> dict[str, Any]:
        """Returns the options of the producer, and what the part was copied from."""
        return {**self._manifest.job, COPIED_FROM: _copied_from(self._manifest, self.part)}

    def _has_tower(self, table: TableSchema) -> bool:
        return table.name in self._manifest.towers


def _copied_from(manifest: Manifest, part: Part) -> dict[str, Any]:
    """Returns what a part of a dataset notes in its `job`: of which dataset it is, and which part."""
    earlier = {name: value for name, value in manifest.job.items() if name == COPIED_FROM}
    return {"digest": manifest.digest, **part.recorded(), **earlier}


def _kept_shards(manifest: Manifest, part: Part) -> Iterator[KeptShard]:
    left, number = part.max_rows, 0
    for origin, wanted in part.rows_by_shard(manifest):
        rows = wanted if left is None else wanted[:left]
        left = None if left is None else left - len(rows)
        num_rows = int(manifest.shards.num_rows[origin])
        if len(rows) == num_rows:
            yield KeptShard(number=number, origin=origin)
        elif len(rows):
            yield KeptShard(number=number, origin=origin, rows=np.asarray(rows, np.int32))
        else:
            continue
        number += 1
        if left == 0:
            return


def _renumbered(table: TableSchema, used: Sequence[int]) -> TableSchema:
    number = used.index(table.reference) if table.reference in used else None
    return table.model_copy(update={"reference": number})
