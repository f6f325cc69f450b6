"""The plan of a job: what was found in its source, and its units. It is stored before anything is embedded.

Promises: the same source gives the same bytes, whichever machines looked into it; a worker that needs one unit of
hundreds of thousands parses one line.
"""

import dataclasses
import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.precompute.sources.planning import join_slices
from lit_precompute.precompute.sources.source import FileLook, FileSlice, ListedFile, Source, Survey, WorkUnit
from lit_precompute.schemas import Note, SourceFile, SourceInfo, TableSchema
from lit_precompute.schemas.tables import json_digest
from lit_precompute.schemas.writing.publishing import add_up

# An option of every source in a manifest: what tells it from others, wherever it is.
CONTENT = "content_sha256"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job embeds.

    Attributes:
      source: what was found, for the manifest; its files in order.
      versions: of the files, when they were listed.
      tables: those that the source's rows have values for.
      extent: what its rows were counted from.
      notes: what of it belongs to no row.
      has_keys: whether the looks told all keys, so that none repeats.
      units: the work units.
    """

    source: SourceInfo
    versions: tuple[str, ...]
    tables: tuple[TableSchema, ...]
    extent: str
    notes: tuple[Note, ...]
    has_keys: bool
    units: "UnitList"

    @property
    def num_rows(self) -> int | None:
        """Rows of the source; None if only reading them tells."""
        return self.units.num_rows

    def describe(self) -> dict[str, Any]:
        """Returns all but the files and units, as JSON."""
        return {
            "source": self.source.model_dump(exclude={"files"}),
            "tables": [table.model_dump() for table in self.tables],
            "extent": self.extent,
            "notes": [note.model_dump() for note in self.notes],
            "has_keys": self.has_keys,
            "num_units": len(self.units),
            "num_rows": self.num_rows,
        }

    def to_bytes(self) -> bytes:
        """Returns files and units as compressed lines of JSON."""
        files = zip(self.source.files, self.versions, strict=True)
        lines = [json.dumps({**file.model_dump(), "version": version}) for file, version in files]
        text = "\n".join([str(len(lines)), *lines, *self.units.lines])
        return gzip.compress(text.encode(), compresslevel=6, mtime=0)

    @classmethod
    def from_bytes(cls, described: Mapping[str, Any], data: bytes) -> "Plan":
        """Returns the plan that `describe` and `to_bytes` were of."""
        count, *lines = gzip.decompress(data).decode().split("\n")
        files = [json.loads(line) for line in lines[: int(count)]]
        versions = tuple(file.pop("version") for file in files)
        return cls(
            source=SourceInfo.model_validate({**described["source"], "files": files}),
            versions=versions,
            tables=tuple(TableSchema.model_validate(table) for table in described["tables"]),
            extent=described["extent"],
            notes=tuple(Note.model_validate(note) for note in described["notes"]),
            has_keys=described["has_keys"],
            units=UnitList(tuple(lines[int(count) :]), described["num_rows"]),
        )


@dataclasses.dataclass(frozen=True)
class UnitList(Sequence[WorkUnit]):
    """Units as lines of JSON, parsed when they are asked for."""

    lines: tuple[str, ...]
    num_rows: int | None

    @classmethod
    def of(cls, units: Iterator[WorkUnit]) -> "UnitList":
        """Returns the list of these units."""
        lines: list[str] = []
        num_rows: int | None = 0
        for unit in units:
            lines.append(json.dumps(dataclasses.asdict(unit)))
            num_rows = None if num_rows is None or unit.num_rows is None else num_rows + unit.num_rows
        return cls(tuple(lines), num_rows)

    def __len__(self) -> int:
        """Returns the number of units."""
        return len(self.lines)

    def __getitem__(self, number: Any) -> Any:
        """Returns the unit of this number."""
        content = json.loads(self.lines[number])
        return WorkUnit(files=tuple(map(_slice, content.pop("files"))), **content)


def _slice(content: dict[str, Any]) -> FileSlice:
    links = tuple((start, target) for start, target in content.pop("links"))
    return FileSlice(links=links, **content)


def make_plan(
    source: Source,
    files: Sequence[ListedFile],
    looks: Sequence[FileLook],
    survey: Survey,
    *,
    rows_per_unit: int,
    limit: int | None = None,
    limit_seed: int | None = None,
) -> Plan:
    """Returns the plan of a source that was looked into.

    Args:
      source: the source.
      files: its files, as they were listed.
      looks: into each of them, without hashes.
      survey: of the looks.
      rows_per_unit: rows of each unit, at most.
      limit: rows to embed of it, at most; None: all.
      limit_seed: what draws the slices of these rows; None: the first rows.
    """
    listed = {file.path: file for file in files}
    sizes = [look.num_bytes if look.num_bytes is not None else (listed[look.path].num_bytes or 0) for look in looks]
    info = SourceInfo(
        kind=source.kind,
        path=source.path,
        files=[
            SourceFile(path=look.path, bytes=size, sha256=look.sha256) for look, size in zip(looks, sizes, strict=True)
        ],
        options={**source.options, **survey.options, CONTENT: json_digest([look.content for look in looks])},
    )
    slices = [part for look in looks for part in look.slices]
    if limit_seed is None or limit is None:
        units = join_slices(slices, rows_per_unit)
    else:
        units = map(_of_no_place, join_slices(_draw(slices, limit, limit_seed), rows_per_unit))
    return Plan(
        source=info,
        versions=tuple(listed[look.path].version for look in looks),
        tables=survey.tables,
        extent=survey.extent,
        notes=tuple(add_up(note for look in looks for note in look.notes)),
        has_keys=all(look.has_keys for look in looks),
        units=UnitList.of(units if limit is None else _first_rows(units, limit)),
    )


def _draw(slices: Sequence[FileSlice], num_rows: int, seed: int) -> list[FileSlice]:
    """Returns random slices that have at least so many rows together, in their order.

    How many rows a slice of unknown length has is known once it is read: it is the last that is drawn.
    """
    order = random.Random(seed).sample(range(len(slices)), len(slices))
    drawn: list[int] = []
    for place in order:
        drawn.append(place)
        found = slices[place].num_rows
        num_rows -= num_rows if found is None else found
        if num_rows <= 0:
            break
    return [slices[place] for place in sorted(drawn)]


def _of_no_place(unit: WorkUnit) -> WorkUnit:
    """Returns a unit of drawn slices, which do not follow each other in the source."""
    return dataclasses.replace(unit, first_row=None)


def _first_rows(units: Iterator[WorkUnit], limit: int) -> Iterator[WorkUnit]:
    """Yields units until they have `limit` rows; the last one is cut, and so is one whose rows are not known."""
    num_left = limit
    for unit in units:
        if unit.num_rows is not None and unit.num_rows <= num_left:
            yield unit
            num_left -= unit.num_rows
        else:
            num_rows = None if unit.num_rows is None else num_left
            yield dataclasses.replace(unit, num_rows=num_rows, max_rows=num_left)
            return
        if not num_left:
            return


def name_of(plan_bytes: bytes) -> str:
    """Returns the name under which a plan is stored, which depends on its bytes."""
    return f"units-{hashlib.sha256(plan_bytes).hexdigest()[:16]}.jsonl.gz"
