"""Writing a dataset's rows as a table: key, vectors as fixed-size lists, texts, label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from lit_precompute.precompute.exchange.exported import Exported, ExportReader, ExportRows
from lit_precompute.precompute.exchange.written import batch_of, word_fields, word_values
from lit_precompute.schemas.tables import EMBEDDING, EMBEDDINGS


class TableRows:
    """A dataset's rows as record batches.

    Attributes:
      schema: of the batches; of the Hugging Face kind or plain, as the layout's metadata says.
    """

    def __init__(self, reader: ExportReader, metadata: dict[str, str]):
        """Takes what is read, and what the schema says of it."""
        self._columns = {table: _column(reader, table) for table in reader.vectors}
        words = word_fields(reader, has_caption=False)
        vectors = [pa.field(name, _type(reader.vectors[table])) for table, name in self._columns.items()]
        self.schema = pa.schema([words[0], *vectors, *words[1:]], metadata=metadata)
        self.holds = [*self._columns, *reader.word_tables]

    def batches(self, blocks: Iterator[ExportRows]) -> Iterator[pa.RecordBatch]:
        """Yields a batch for each block."""
        for rows in blocks:
            vectors = {name: rows.vectors[table] for table, name in self._columns.items()}
            yield batch_of(self.schema, {**word_values(rows), **vectors})


def _type(about: Exported) -> pa.DataType:
    return pa.list_(pa.from_numpy_dtype(np.dtype(about.type)), about.width)


def _column(reader: ExportReader, table: str) -> str:
    """Returns the name of a table's column: embedding, embedding-view1, text_embedding."""
    if table == next(iter(reader.vectors)):
        return EMBEDDING
    if table == reader.texts_table:
        return "text_embedding"
    return EMBEDDING + table.removeprefix(EMBEDDINGS) if table != EMBEDDINGS else f"{EMBEDDING}-0"
