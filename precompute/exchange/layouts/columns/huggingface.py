"""Hugging Face datasets on disk, as `Dataset.save_to_disk` writes them: Arrow streams, state.json, dataset_info.json.

Source: huggingface/datasets, arrow_dataset.py (`save_to_disk`, `load_from_disk`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.layout import Layout, Reading, Writing
from lit_precompute.precompute.exchange.layouts.columns.source import ColumnOptions, ColumnReader
from lit_precompute.precompute.exchange.layouts.columns.writer import TableRows
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.precompute.exchange.rows import ImportPlan, Rows, Unit
from lit_precompute.precompute.exchange.written import origin
from lit_precompute.precompute.sources.columnar.folders import list_source
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas.storage import FoundFile, find_described, open_file
from lit_precompute.schemas.tables import json_digest

NAME = "huggingface"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportOptions(ColumnOptions):
    """Hugging Face datasets on disk (save_to_disk) with a list of floats in each row."""

    split: str = ""
    """Split of a dataset that has several, such as train; train+validation for both."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Hugging Face datasets on disk, for datasets.load_from_disk: key, embedding, texts, label."""


@dataclasses.dataclass
class HuggingFaceSource:
    """See `ImportSource`."""

    path: str
    options: ImportOptions
    rows_per_shard: int
    _widths: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def plan(self) -> ImportPlan:
        """See `ImportSource`."""
        spec = SourceSpec(self.path, split=self.options.split or None)
        files = list_source(spec, NAME, open_file, find_described)
        plan = self._reader.plan({file.path: FoundFile(file.num_bytes, file.version) for file in files})
        self._widths = {each.name: each.width for each in plan.vectors}
        return plan

    def read(self, unit: Unit) -> Iterator[Rows]:
        """See `ImportSource`."""
        return self._reader.read(unit, self._widths)

    @property
    def _reader(self) -> ColumnReader:
        return ColumnReader(NAME, self.path, self.options, self.rows_per_shard)


class HuggingFaceWriter:
    """See `LayoutWriter`."""

    def __init__(self, reader: ExportReader, options: ExportOptions):
        """Takes what is read."""
        self._reader = reader
        plain = TableRows(reader, {})
        self._features = {field.name: _feature(field.type) for field in plain.schema}
        info = json.dumps({"info": {"features": self._features}})
        self._rows = TableRows(reader, {"huggingface": info})

    @property
    def holds(self) -> Sequence[str]:
        """See `LayoutWriter`."""
        return self._rows.holds

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """See `LayoutWriter`."""
        with pa.ipc.new_stream(str(files.path(_name(part))), self._rows.schema) as stream:
            for batch in self._rows.batches(blocks):
                stream.write_batch(batch)

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """See `LayoutWriter`: the two files by which `datasets` knows the others."""
        about = json.loads(origin(self._reader))
        info = {
            "citation": "",
            "description": f"Embeddings of images, exported by lit-precompute: {json.dumps(about, sort_keys=True)}",
            "features": self._features,
            "homepage": "",
            "license": "",
        }
        state = {
            "_data_files": [{"filename": _name(part)} for part in parts],
            "_fingerprint": json_digest(about)[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        return {
            "dataset_info.json": json.dumps(info, indent=2).encode(),
            "state.json": json.dumps(state, indent=2).encode(),
        }


def _name(part: Part) -> str:
    return f"data-{part.number:05d}-of-{part.num_parts:05d}.arrow"


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """Returns a column's type as `datasets` describes it: `Sequence` is what every version reads."""
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else -1
        return {"feature": _feature(kind.value_type), "length": length, "_type": "Sequence"}
    name = {"halffloat": "float16", "float": "float32"}.get(str(kind), str(kind))
    return {"dtype": name, "_type": "Value"}


LAYOUT = Layout(
    name=NAME,
    reading=Reading(options=ImportOptions, open=HuggingFaceSource),
    writing=Writing(options=ExportOptions, open=HuggingFaceWriter, rows_per_file=1_000_000),
)
