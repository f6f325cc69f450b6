"""Vectors of Parquet files, whose rows are known by their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from lit_precompute.precompute.deriving.additions.files import hashed
from lit_precompute.precompute.deriving.matching import FILE, KEY, NUMBER
from lit_precompute.precompute.sources.listing import list_files
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import listed
from lit_precompute.schemas import ColumnSchema, Note, TableSchema, VectorType
from lit_precompute.schemas.storage import find_described, open_file
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDING, TEXT_EMBEDDINGS
from lit_precompute.schemas.vectors import storable, to_arrow, vector_field

ENDINGS = (".parquet", ".pq")
_VECTORS = (TEXT_EMBEDDING, "text_emb", "embedding", "emb")
_BATCH_ROWS = 1024


class VectorFiles:
    """See `Addition`. A column of vectors, lists of one length, beside a column of keys."""

    gathers = False
    needs_all = True

    def __init__(self, name: str, path: str, key_column: str, made_by: str):
        """Lists and hashes the files, and finds the columns in the first one.

        Args:
          name: of the table, after `text-embeddings-`.
          path: of a file, a folder or a pattern.
          key_column: the column of keys.
          made_by: what made the vectors, in words.

        Raises:
          SourceError: there are none, or they have no such columns.
        """
        self._path, self._key, self._made_by = path, key_column, made_by
        self._listed = list_files(path, find_described, ENDINGS)
        self._files = [hashed(file) for file in self._listed]
        with open_file(self._listed[0].path) as stream:
            first = _opened(stream, self._listed[0].path)
            self._column = self._find_columns(first.schema_arrow)
            batch = next(first.iter_batches(1, columns=[self._column]), None)
        if batch is None:
            raise SourceError(f"{self._listed[0].path}: no rows")
        item = batch.column(0).type.value_type
        kind: VectorType = "float16" if types.is_float16(item) else "float32"
        self._vectors = ColumnSchema(
            name=TEXT_EMBEDDING, type="vector", width=len(batch.column(0)[0]), vector_type=kind
        )
        self.table = TableSchema(
            name=f"{TEXT_EMBEDDINGS}-{name}", columns=[ColumnSchema(name="key", type="string"), self._vectors]
        )

    @property
    def max_bytes(self) -> int:
        """See `Addition`."""
        return 2 * sum(file.bytes for file in self._files)

    def described(self) -> dict[str, Any]:
        """See `Addition`."""
        files = [file.model_dump() for file in self._files]
        options = {"key": self._key, "vectors": self._column}
        return {"path": self._path, "options": options, "files": files, "made_by": self._made_by}

    def batches(self, progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """See `Addition`."""
        num_rows = 0
        for number, file in enumerate(self._listed):
            with open_file(file.path) as stream:
                opened, row = _opened(stream, file.path), 0
                self._find_columns(opened.schema_arrow)
                for batch in opened.iter_batches(_BATCH_ROWS, columns=[self._key, self._column]):
                    yield self._checked(batch, number, row)
                    row += len(batch)
                    progress(num_rows + row)
                num_rows += row

    def place(self, file: int, number: int) -> str:
        """See `Addition`."""
        return f"{self._listed[file].path}, row {number}"

    def notes(self) -> Sequence[Note]:
        """See `Addition`."""
        return ()

    def _find_columns(self, schema: pa.Schema) -> str:
        """Returns the name of the column of vectors; checks that of the keys."""
        names = [field.name for field in schema if _is_vectors(field.type)]
        found = next((name for name in _VECTORS if name in names), names[0] if len(names) == 1 else None)
        if self._key not in schema.names:
            raise SourceError(
                f"{self._path}: no column {self._key!r}; there are {listed(schema.names)}; give its name as "
                "--key-column"
            )
        if found is None:
            raise SourceError(
                f"{self._path}: no column of vectors; there must be one of lists of float16, float32 or float64, "
                f"best named {TEXT_EMBEDDING!r}; there are {listed(schema.names)}"
            )
        return found

    def _checked(self, batch: pa.RecordBatch, file: int, first: int) -> pa.RecordBatch:
        """Returns rows with their places; refuses keys and vectors that cannot be used."""
        keys, lists = batch.column(self._key), batch.column(self._column)
        if keys.null_count:
            raise SourceError(f"{self.place(file, first + _first(keys.is_null()))}: {self._key!r} is empty")
        keys = keys.cast(pa.string())
        width = self._vectors.width
        lengths = np.array([0 if each is None else len(each) for each in lists])
        if (lengths != width).any():
            at = int(np.argmax(lengths != width))
            raise SourceError(f"{self.place(file, first + at)}: must have {width} numbers, got {lengths[at]}")
        assert width is not None and self._vectors.vector_type is not None
        flat = np.asarray(lists.flatten().to_numpy(zero_copy_only=False))
        values = flat.reshape(len(batch), width)
        fits = storable(values, self._vectors.vector_type)
        if not fits.all():
            raise SourceError(f"{self.place(file, first + int(np.argmin(fits)))}: its numbers must be finite")
        field = vector_field(TEXT_EMBEDDING, width, self._vectors.vector_type)
        numbers = np.arange(first, first + len(batch))
        columns = [keys, pa.array(np.full(len(batch), file, np.int32)), pa.array(numbers)]
        vectors = to_arrow(values, field, keys.to_pylist())[TEXT_EMBEDDING]
        return pa.RecordBatch.from_arrays([*columns, vectors], schema=pa.schema([KEY, FILE, NUMBER, field]))


def _opened(stream: Any, path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(stream)
    except pa.ArrowException as error:
        raise SourceError(f"{path}: not a readable Parquet file ({error})") from error


def _is_vectors(kind: pa.DataType) -> bool:
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and types.is_floating(kind.value_type)


def _first(mask: pa.BooleanArray) -> int:
    return int(np.argmax(mask.to_numpy(zero_copy_only=False)))
