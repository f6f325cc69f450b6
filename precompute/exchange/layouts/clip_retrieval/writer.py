"""Writing clip-retrieval's folders. A row's first text is its caption; all of them are in the column `texts`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.layouts.clip_retrieval.source import IMAGES, METADATA, TEXTS
from lit_precompute.precompute.exchange.new_files import NewFiles
from lit_precompute.precompute.exchange.written import (
    NpyWriter,
    batch_of,
    origin,
    padded,
    parquet_file,
    word_fields,
    word_values,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """clip-retrieval's and LAION's folders of .npy and Parquet: img_emb, text_emb, metadata."""


@dataclasses.dataclass(frozen=True)
class ClipRetrievalWriter:
    """See `LayoutWriter`."""

    reader: ExportReader
    options: ExportOptions

    @property
    def _folders(self) -> dict[str, str]:
        """The tables that the folders of vectors are of."""
        tables = {IMAGES: next(iter(self.reader.vectors)), TEXTS: self.reader.texts_table}
        return {folder: table for folder, table in tables.items() if table is not None}

    @property
    def holds(self) -> Sequence[str]:
        """See `LayoutWriter`."""
        return [*self._folders.values(), *self.reader.word_tables]

    def write(self, part: Part, blocks: Iterator[ExportRows], files: NewFiles) -> None:
        """See `LayoutWriter`."""
        number, count = padded(part), part.num_rows
        fields = [pa.field("image_path", pa.string()), *word_fields(self.reader, has_caption=True)]
        schema = pa.schema(fields, metadata={"lit_precompute": origin(self.reader)})
        with contextlib.ExitStack() as opened:
            vectors = {
                table: opened.enter_context(
                    NpyWriter(
                        files.path(f"{folder}/{folder}_{number}.npy"),
                        count,
                        self.reader.vectors[table].width,
                        self.reader.vectors[table].type,
                    )
                )
                for folder, table in self._folders.items()
            }
            metadata = opened.enter_context(parquet_file(files.path(f"{METADATA}/{METADATA}_{number}.parquet"), schema))
            for rows in blocks:
                for table, writer in vectors.items():
                    writer.append(rows.vectors[table])
                metadata.append(batch_of(schema, {"image_path": rows.keys, **word_values(rows)}))

    def last_files(self, parts: Sequence[Part]) -> Mapping[str, bytes]:
        """See `LayoutWriter`."""
        return {}
