"""Parquet files with a column of vectors; one file or many."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.found import files_at
from lit_precompute.precompute.exchange.layout import Layout, Reading, Writing
from lit_precompute.precompute.exchange.layouts.columns.source import ColumnOptions, ColumnReader
from lit_precompute.precompute.exchange.layouts.columns.writer import TableRows
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.precompute.exchange.rows import ImportPlan, Rows, Unit
from lit_precompute.precompute.exchange.written import origin, parquet_file

NAME = "parquet"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions(ColumnOptions):
    """Parquet files with a list of floats in each row: key or id, embedding or emb, and texts, labels if any."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Parquet files: key, embedding as a fixed-size list, texts, label."""


@dataclasses.dataclass
class ParquetSource:
    """See `ImportSource`."""

    path: str
    options: ImportOptions
    rows_per_shard: int
    _widths: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def plan(self) -> ImportPlan:
        """See `ImportSource`."""
        plan = self._reader.plan(files_at(self.path, (".parquet", ".pq")))
        self._widths = {each.name: each.width for each in plan.vectors}
        return plan

    def read(self, unit: Unit) -> Iterator[Rows]:
        """See `ImportSource`."""
        return self._reader.read(unit, self._widths)

    @property
    def _reader(self) -> ColumnReader:
        return ColumnReader(NAME, self.path, self.options, self.rows_per_shard)


class ParquetLayoutWriter:
    """See `LayoutWriter`."""

    def __init__(self, reader: ExportReader, options: ExportOptions):
        """Takes what is read."""
        self._rows = TableRows(reader, {"lit_precompute": origin(reader)})

    @property
    def holds(self) -> Sequence[str]:
        """See `LayoutWriter`."""
        return self._rows.holds

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """See `LayoutWriter`."""
        path = files.path(f"part-{part.number:05d}-of-{part.num_parts:05d}.parquet")
        with parquet_file(path, self._rows.schema) as sink:
            for batch in self._rows.batches(blocks):
                sink.append(batch)

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """See `LayoutWriter`."""
        return {}


LAYOUT = Layout(
    name=NAME,
    reading=Reading(options=ImportOptions, open=ParquetSource),
    writing=Writing(options=ExportOptions, open=ParquetLayoutWriter, rows_per_file=1_000_000),
)
