"""Files of an export that several layouts have: vectors as .npy, words as Arrow columns, tables as Parquet."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lit_precompute.precompute.exchange.exported import ExportReader, ExportRows, Part
from lit_precompute.precompute.exchange.files.npy import header_bytes

_GROUP_ROWS = 16_384
_TEXT_LIST = pa.list_(pa.field("item", pa.string()))


class NpyWriter:
    """Writes vectors whose number is known beforehand; use as a context manager."""

    def __init__(self, path: pathlib.Path, num_rows: int, width: int, kind: str):
        """Writes the header."""
        self._type = np.dtype(kind).newbyteorder("<")
        self._left = num_rows
        self._file = path.open("wb")
        self._file.write(header_bytes(num_rows, width, np.dtype(kind)))

    def append(self, vectors: np.ndarray[Any, Any]) -> None:
        """Writes rows."""
        self._file.write(np.ascontiguousarray(vectors, self._type).data)
        self._left -= len(vectors)

    def __enter__(self) -> NpyWriter:
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Closes the file."""
        self._file.close()
        assert kind is not None or not self._left, "the header says how many rows there are"


def word_fields(reader: ExportReader, *, has_caption: bool) -> list[pa.Field]:
    """Returns the columns of a dataset's words: key, the first text if wanted, all texts, named texts, label."""
    fields = [pa.field("key", pa.string(), nullable=False)]
    if reader.text_names and has_caption:
        fields.append(pa.field("caption", pa.string()))
    fields += [pa.field(name, _TEXT_LIST) for name in reader.text_names]
    return [*fields, pa.field("label", pa.string())] if reader.has_labels else fields


def word_values(rows: ExportRows) -> dict[str, Any]:
    """Returns the values of these columns by name; None where a row has no text or label."""
    values: dict[str, Any] = {"key": rows.keys, **rows.texts}
    if rows.texts:
        values["caption"] = [texts[0] if texts else None for texts in rows.texts["texts"]]
    if rows.labels is not None:
        values["label"] = [label or None for label in rows.labels]
    return values


def origin(reader: ExportReader) -> str:
    """Returns what files of tables say of where they come from, as JSON: the dataset, its towers, its ledger."""
    manifest = reader.manifest
    towers = {name: card.model_dump() for name, card in manifest.towers.items()}
    about = {"dataset_digest": manifest.digest, "towers": towers, "ledger": manifest.ledger.model_dump()}
    return json.dumps(about, sort_keys=True)


def batch_of(schema: pa.Schema, values: Mapping[str, Any]) -> pa.RecordBatch:
    """Returns a batch of a schema from values by column; vectors are arrays [n, D]."""
    arrays = [_array(values[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        items = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(items, type=kind)
    return pa.array(values, type=kind)


@contextlib.contextmanager
def parquet_file(path: pathlib.Path, schema: pa.Schema) -> Iterator[ParquetSink]:
    """Opens a new Parquet file. Vectors are neither compressed nor looked up in dictionaries: both cost time alone."""
    paths = {field.name: f"{field.name}.list.element" if _is_list(field) else field.name for field in schema}
    words = [paths[field.name] for field in schema if not _is_vector(field)]
    packing = {paths[field.name]: "none" if _is_vector(field) else "zstd" for field in schema}
    with pq.ParquetWriter(path, schema, compression=cast(Any, packing), use_dictionary=cast(Any, words)) as writer:
        sink = ParquetSink(writer)
        yield sink
        sink.flush()


def _is_list(field: pa.Field) -> bool:
    return pa.types.is_list(field.type) or _is_vector(field)


def _is_vector(field: pa.Field) -> bool:
    return pa.types.is_fixed_size_list(field.type)


class ParquetSink:
    """Gathers batches into row groups."""

    def __init__(self, writer: pq.ParquetWriter):
        """Takes the file."""
        self._writer, self._batches, self._num_rows = writer, list[pa.RecordBatch](), 0

    def append(self, batch: pa.RecordBatch) -> None:
        """Writes a batch, together with others."""
        self._batches.append(batch)
        self._num_rows += batch.num_rows
        if self._num_rows >= _GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes what was gathered."""
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=self._num_rows)
        self._batches, self._num_rows = [], 0


def padded(part: Part) -> str:
    """Returns a part's number with as many digits as that of parts has, as clip-retrieval pads it."""
    return str(part.number).zfill(len(str(part.num_parts)))
