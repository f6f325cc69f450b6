"""Writing TFRecord files. Floats are float32, as tf.Example has them; a row's first text is its caption."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.files.tf_example import serialize
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.precompute.exchange.written import origin
from lit_precompute.precompute.sources.records.frames import framed


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """TFRecord files of tf.Example: key, image_embedding, text_embedding, caption, texts, label."""


@dataclasses.dataclass(frozen=True)
class TFRecordWriter:
    """See `LayoutWriter`."""

    reader: ExportReader
    options: ExportOptions

    @property
    def _features(self) -> dict[str, str]:
        """The features of the tables of vectors."""
        tables = {next(iter(self.reader.vectors)): "image_embedding", self.reader.texts_table: "text_embedding"}
        return {table: name for table, name in tables.items() if table is not None}

    @property
    def holds(self) -> Sequence[str]:
        """See `LayoutWriter`."""
        return [*self._features, *self.reader.word_tables]

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """See `LayoutWriter`."""
        path = files.path(f"train.tfrecord-{part.number:05d}-of-{part.num_parts:05d}")
        with path.open("wb") as file:
            for rows in blocks:
                for row in range(len(rows.keys)):
                    file.write(framed(serialize(self._record(rows, row))))

    def _record(self, rows: ExportRows, row: int) -> dict[str, Any]:
        record: dict[str, Any] = {"key": [rows.keys[row]]}
        for table, name in self._features.items():
            record[name] = rows.vectors[table][row].astype(np.float32, copy=False)
        for name, values in rows.texts.items():
            record[name] = values[row]
        if rows.texts:
            record["caption"] = rows.texts["texts"][row][:1] or [""]
        return record if rows.labels is None else {**record, "label": [rows.labels[row]]}

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """See `LayoutWriter`."""
        return {"lit_precompute.json": origin(self.reader).encode()}
