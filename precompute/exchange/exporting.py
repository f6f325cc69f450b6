"""Exporting: a dataset's rows as files of another layout.

Promises: files appear whole under their names; a note of what was written comes last, after the layout's own reader
has counted the rows. Killed and run again, an export begins anew and gives the same bytes. Nothing that was there is
overwritten but an unfinished export of the same dataset.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, ExportType, Part
from lit_precompute.precompute.exchange.layout import Layout
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.schemas import DatasetError
from lit_precompute.schemas.claims import Claim, ClaimError
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import WORK_FOLDER, Folder, absolute, open_folder
from lit_precompute.schemas.tables import EMBEDDINGS, json_digest

# Begins with what readers of folders of Parquet files pass over.
NOTE = "_lit_export.json"
_CLAIM = f"{WORK_FOLDER}/export.json"


@dataclasses.dataclass(frozen=True)
class ExportSummary:
    """What was written.

    Attributes:
      num_rows: in all.
      num_bytes: of the files.
      num_files: of the layout.
      converted: "int8 -> float32", by table, of those whose type changed.
      left_out: tables that the layout has no place for.
    """

    num_rows: int
    num_bytes: int
    num_files: int
    converted: Mapping[str, str]
    left_out: Sequence[str]


def export_dataset(
    dataset: str,
    layout: Layout,
    options: Any,
    output: str | os.PathLike[str],
    *,
    table: str = EMBEDDINGS,
    vector_type: ExportType | None = None,
    selection: Selection | None = None,
    rows_per_file: int | None = None,
    report: Callable[[int, int | None], None] = lambda done, total: None,
) -> ExportSummary:
    """Exports a dataset.

    Args:
      dataset: its path or URL.
      layout: one that can be written.
      options: the layout's.
      output: a path or URL.
      table: the embeddings to export, where a layout has place for one table.
      vector_type: type of vectors; None for float16 where they are stored so, else float32.
      selection: the rows to export; None for all.
      rows_per_file: rows of each file; None for the layout's own number.
      report: called with the rows that are done, and all.

    Raises:
      DatasetError: it is damaged, empty, or the layout cannot hold it.
      ClaimError: the output contains other files.
    """
    assert layout.writing is not None
    folder = open_folder(absolute(output))
    with ExportReader(dataset, table=table, vector_type=vector_type, selection=selection) as reader:
        writer = layout.writing.open(reader, options)
        parts = reader.parts(rows_per_file or layout.writing.rows_per_file)
        num_rows = sum(part.num_rows for part in parts)
        note = _describe(reader, layout, options, parts, writer.holds)
        _claim(folder, note)
        files: dict[str, tuple[int, str]] = {}
        num_done = 0
        for part in parts:
            blocks = _reported(reader.blocks(part), num_done, lambda done: report(done, num_rows))
            files |= _write(folder, lambda new, part=part, blocks=blocks: writer.write(part, blocks, new))
            num_done += part.num_rows
        for name, data in writer.last_files(parts).items():
            files |= _write(folder, lambda new, name=name, data=data: _put(new, name, data))
        report(num_rows, num_rows)
        left_out = [name for name in reader.tables if name not in writer.holds]
    _check(folder, layout, files, num_rows)
    described = {name: {"bytes": num_bytes, "sha256": sha256} for name, (num_bytes, sha256) in files.items()}
    folder.write(NOTE, (json.dumps({**note, "files": described}, indent=1) + "\n").encode())
    folder.remove_folder(WORK_FOLDER)
    converted = {
        name: f"{about.stored} -> {about.type}"
        for name, about in reader.vectors.items()
        if about.stored != about.type and name in writer.holds
    }
    num_bytes = sum(size for size, _ in files.values())
    return ExportSummary(num_rows, num_bytes, len(files), converted, left_out)


def _describe(
    reader: ExportReader, layout: Layout, options: Any, parts: Sequence[Part], holds: Sequence[str]
) -> dict[str, Any]:
    """Returns what is exported, as JSON: where it comes from, with which tower, and in which types."""
    manifest = reader.manifest
    return {
        "layout": layout.name,
        "options": dataclasses.asdict(options),
        "dataset_digest": manifest.digest,
        "towers": {name: card.model_dump() for name, card in manifest.towers.items() if name in holds},
        "vectors": {name: each._asdict() for name, each in reader.vectors.items() if name in holds},
        "ledger": manifest.ledger.model_dump(),
        "selection": None if reader.selection is None else reader.selection.digest,
        "num_rows": sum(part.num_rows for part in parts),
        "num_parts": len(parts),
    }


def _claim(folder: Folder, note: Mapping[str, Any]) -> None:
    claim = Claim(
        folder=folder,
        note=_CLAIM,
        kind="dataset's export",
        own_prefix=WORK_FOLDER,
        advice_foreign="give an empty --output",
        advice_another="Remove it, or choose another --output",
        advice_damaged="remove the output, and export again",
    )
    if folder.exists(NOTE) and not claim.is_made():
        raise ClaimError(f"{folder.path}: has a finished export; give an empty --output, or remove it")
    claim.refuse_foreign_files()
    claim.create({"export": json_digest(note)})
    claim.refuse_another(claim.read(), {"export": json_digest(note)})


def _reported(blocks: Iterator[ExportRows], done: int, report: Callable[[int], None]) -> Iterator[ExportRows]:
    """Yields blocks, and reports the rows up to each."""
    for rows in blocks:
        report(done)
        yield rows
        done += len(rows.keys)


def _write(folder: Folder, write: Callable[[NewFiles], None]) -> dict[str, tuple[int, str]]:
    new = NewFiles(folder)
    try:
        write(new)
        return new.publish()
    finally:
        new.discard()


def _put(new: NewFiles, name: str, data: bytes) -> None:
    new.path(name).write_bytes(data)


def _check(folder: Folder, layout: Layout, files: Mapping[str, tuple[int, str]], num_rows: int) -> None:
    """Looks at what is there: sizes, and the rows that the layout's own reader counts.

    Raises:
      DatasetError: a file is missing, of another size, or counts differ.
    """
    there = folder.find()
    for name, (num_bytes, _) in files.items():
        found = there[name].num_bytes if name in there else None
        if found != num_bytes:
            raise DatasetError(f"{folder.join(name)}: must have {num_bytes} bytes, got {found}; export again")
    if surplus := sorted(name for name in there if name not in files and not name.startswith(f"{WORK_FOLDER}/")):
        raise DatasetError(f"{folder.join(surplus[0])}: is no file of this export; remove it")
    if layout.reading is not None:
        plan = layout.reading.open(folder.path, layout.reading.options(), 1 << 40).plan()
        if plan.num_rows is not None and plan.num_rows != num_rows:
            raise DatasetError(f"{folder.path}: must have {num_rows:,} rows, {plan.num_rows:,} are there; export again")
