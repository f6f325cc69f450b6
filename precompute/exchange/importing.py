"""Importing: a source in another layout becomes an embedding dataset, a unit a shard.

Promises: rows read = rows written + rows failed; a row that is not finite, all zeros, or marked as failed becomes a row
of `failures`; keys are unique. Killed at any moment and run again, it goes on after the last finished shard, and gives
the same bytes. Memory holds some blocks of a unit, and 8 bytes for each key while keys are compared.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lit_precompute.precompute.exchange.finished import FinishedUnit, FinishedUnits, finished_before
from lit_precompute.precompute.exchange.job import Declared, ImportJob
from lit_precompute.precompute.exchange.repeats import check_repeats
from lit_precompute.precompute.exchange.rows import Fault, ImportSource, Rows, Unit
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas import (
    Manifest,
    Note,
    ShardWriter,
    VectorType,
    publish_manifest,
)
from lit_precompute.schemas.probes import ProbeSampler, number_in_dataset, share_of_shard
from lit_precompute.schemas.storage import Folder, absolute, open_folder
from lit_precompute.schemas.tables import EMBEDDINGS, FAILURES
from lit_precompute.schemas.vectors import storable, why_not_storable
from lit_precompute.schemas.writing.publishing import add_up

Report = Callable[[int, int | None], None]
"""Called with the rows that are done, and all of them if that is known."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes:
      manifest: as it is read back.
      reasons: how many rows failed, by reason.
      least_norm: of the embeddings that were written; None without any.
      most_norm: the same.
      num_read: rows that were read by this call, not by an earlier one that was interrupted.
    """

    manifest: Manifest
    reasons: Mapping[str, int]
    least_norm: float | None
    most_norm: float | None
    num_read: int


def import_dataset(
    source: ImportSource,
    output: str | os.PathLike[str],
    declared: Declared,
    *,
    block_rows: int = 1024,
    report: Report = lambda done, total: None,
) -> Imported:
    """Imports a source into a new dataset.

    Args:
      source: of any layout.
      output: where the dataset will be: a path or a URL.
      declared: what is not in the source.
      block_rows: rows of each block.
      report: see `Report`.

    Raises:
      SourceError: the source is damaged, its files do not fit together, a key repeats, or no tower is known.
      ClaimError: the output belongs to something else.
    """
    folder = open_folder(absolute(output))
    plan = source.plan()
    job = ImportJob(plan, declared, block_rows)
    if (before := finished_before(folder)) is not None and job.made(before):
        return Imported(before, {}, None, None, 0)
    done = FinishedUnits.claim(folder, job.description)
    if done.finished is not None:  # a kill left notes
        done.remove()
        return Imported(done.finished, {}, None, None, 0)
    units, num_read = _import_units(source, folder, job, done, report)
    check_repeats(source, plan.units, done)
    manifest = _publish(folder, job, units)
    done.remove()
    return _summary(manifest, units, num_read)


def _import_units(
    source: ImportSource, folder: Folder, job: ImportJob, done: FinishedUnits, report: Report
) -> tuple[list[FinishedUnit], int]:
    """Writes the shards that are not finished yet; returns all, and the rows read."""
    plan = job.plan
    units = done.read(len(plan.units))
    num_before = num_done = sum(unit.info.rows_read for unit in units.values())
    for number, unit in enumerate(plan.units):
        if number not in units:
            finished, hashes = _import_unit(
                source, unit, number, folder, job, lambda rows, before=num_done: report(before + rows, plan.num_rows)
            )
            done.write(number, finished, hashes)
            units[number] = finished
            num_done += finished.info.rows_read
    report(num_done, num_done)
    return [units[number] for number in range(len(plan.units))], num_done - num_before


def _import_unit(
    source: ImportSource, unit: Unit, number: int, folder: Folder, job: ImportJob, on_rows: Callable[[int], None]
) -> tuple[FinishedUnit, bytes]:
    """Writes a shard; returns what is to be kept of it, and the hashes of its keys."""
    on_rows(0)
    hashes: list[bytes] = []
    reasons: dict[str, int] = {}
    norms: list[float] = []
    notes: list[Note] = []
    num_rows = 0
    probes = ProbeSampler()
    with ShardWriter(folder, shard=number, tables=job.tables, block_rows=job.block_rows, probes=probes) as writer:
        for rows in source.read(unit):
            faults = _faults(rows, job.types)
            keep = np.array([row not in faults for row in range(len(rows.keys))], bool)
            _append(writer, rows, keep, job)
            for row, fault in sorted(faults.items()):
                reasons[fault.reason] = reasons.get(fault.reason, 0) + 1
                line = {"key": rows.keys[row], "source": unit.place(num_rows + row), **fault._asdict()}
                writer.append(FAILURES, {name: [value] for name, value in line.items()})
            norms += _norms(rows.vectors[EMBEDDINGS][keep])
            notes = add_up([*notes, *(Note(what=what, count=1, first=rows.keys[row]) for row, what in rows.notes)])
            hashes.append(hash_keys(rows.keys))
            num_rows += len(rows.keys)
            on_rows(num_rows)
        if unit.stop is not None and num_rows != unit.stop - unit.start:
            raise SourceError(
                f"{unit.name}: had {unit.stop - unit.start:,} rows from number {unit.start} on when it was planned, "
                f"and has {num_rows:,}; it changed: import again into another --output"
            )
        info = writer.finish(notes)
    drawn = probes.draw(share_of_shard(number, len(job.plan.units)))
    least, most = (min(norms), max(norms)) if norms else (None, None)
    return FinishedUnit(info=info, probes=drawn, reasons=reasons, least_norm=least, most_norm=most), b"".join(hashes)


def _append(writer: ShardWriter, rows: Rows, keep: np.ndarray[Any, Any], job: ImportJob) -> None:
    places = np.flatnonzero(keep).tolist()
    if not places:
        return
    columns: dict[str, dict[str, Any]] = {
        table: {job.column[table]: values[keep] if len(places) < len(keep) else values}
        for table, values in rows.vectors.items()
    }
    for table in job.plan.tables:
        found = rows.columns[table.name]
        columns[table.name] = {name: [values[place] for place in places] for name, values in found.items()}
    writer.append_rows([rows.keys[place] for place in places], columns)


def _faults(rows: Rows, types: Mapping[str, VectorType]) -> dict[int, Fault]:
    """Returns the rows that cannot be written: those that the source marks, and vectors of zeros, NaN, or too large."""
    faults = dict(rows.faults)
    for table, values in rows.vectors.items():
        usable = storable(values, types[table])
        zero: Any = np.equal(values, 0).all(axis=1)
        for row in np.flatnonzero(~usable | zero).tolist():
            if zero[row]:
                fault = Fault("zero", f"the vector in {table} is all zeros, as some datasets mark a missing image")
            else:
                fault = Fault("not-finite", f"the vector in {table}: {why_not_storable(values[row], types[table])}")
            faults.setdefault(row, fault)
    return faults


def _norms(values: np.ndarray[Any, Any]) -> list[float]:
    if not len(values):
        return []
    norms: np.ndarray[Any, Any] = np.linalg.norm(values.astype(np.float32), axis=1)
    return [float(norms.min()), float(norms.max())]


def _publish(folder: Folder, job: ImportJob, units: Sequence[FinishedUnit]) -> Manifest:
    return publish_manifest(
        folder,
        shards=[unit.info for unit in units],
        tables=job.tables,
        towers=job.towers,
        source=job.source,
        probes=number_in_dataset((unit.info, unit.probes) for unit in units),
        notes=[Note(what=what, count=1, first=job.plan.path) for what in job.plan.notes],
        job=job.job,
        block_rows=job.block_rows,
    )


def _summary(manifest: Manifest, units: Sequence[FinishedUnit], num_read: int) -> Imported:
    reasons: dict[str, int] = {}
    for unit in units:
        for reason, count in unit.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    norms = [norm for unit in units for norm in (unit.least_norm, unit.most_norm) if norm is not None]
    return Imported(manifest, reasons, min(norms, default=None), max(norms, default=None), num_read)
