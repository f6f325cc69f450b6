"""An embedding dataset in memory, for tests that make thousands of them, with what BatchSource needs."""

import collections
import functools

import ml_dtypes
import numpy as np
import pyarrow as pa

from lit_precompute.schemas import RowBlock

_TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "int8": np.int8}


class FakeDataset:
    """Row r's vector is r in its first half and -r in its second; its texts are as given.

    `fields` are texts by field, in the place of those. As int8 it is 127 and -127 with a scale of r / 127, but for row
    0. With `first`, row r's is that of r + first.
    """

    def __init__(self, block_sizes, texts=None, *, fields=None, width=4, vector_type="float32", path="fake", first=0):
        self.path, self.first = path, first
        self.tables = ["embeddings", "captions"]
        self.width, self.vector_type = width, vector_type
        self.num_blocks, self.num_rows = len(block_sizes), sum(block_sizes)
        self._ends = np.cumsum([0, *block_sizes])
        self.texts = (
            texts if texts is not None else [[f"w{row} t{k}" for k in range(2)] for row in range(self.num_rows)]
        )
        self._fields = fields
        self.columns = ["key", "embedding", *self.fields]
        self.num_calls = collections.Counter()
        self.reads: list[tuple[int, str]] = []

    @property
    def fields(self):
        """The texts of each field."""
        return {"texts": self.texts} if self._fields is None else self._fields

    def __len__(self):
        return self.num_rows

    def block_span(self, block):
        return int(self._ends[block]), int(self._ends[block + 1])

    def fetch_ahead(self, blocks, columns):
        """Does nothing: everything is here."""

    def skip(self, blocks, columns):
        """Does nothing, either."""

    def exact(self, rows):
        """Returns the vectors as float32."""
        signs = np.where(np.arange(self.width) < self.width // 2, 1, -1)
        return ((np.asarray(rows)[:, None] + self.first) * signs).astype(np.float32)

    def vectors(self, rows):
        """Returns the vectors' numbers as they are stored."""
        exact = self.exact(rows)
        return (127 * np.sign(exact) if self.vector_type == "int8" else exact).astype(_TYPES[self.vector_type])

    def scales(self, rows):
        """Returns float32 [n], the scales of int8 vectors."""
        scales = (np.asarray(rows, np.float32) + self.first) / np.float32(127)
        return np.maximum(scales, np.float32(2.0**-126))

    def read_block(self, block, columns):
        start, stop = self.block_span(block)
        self.reads += [(block, column) for column in columns]
        self.num_calls.update(columns)
        makers = {
            name: functools.partial(pa.array, texts[start:stop], pa.list_(pa.string()))
            for name, texts in self.fields.items()
        }
        makers["embedding"] = lambda: self.vectors(np.arange(start, stop))
        found = {column: makers[column]() for column in columns}
        if "embedding" in found and self.vector_type == "int8":
            found["embedding_scale"] = self.scales(np.arange(start, stop))
        return RowBlock(start, stop - start, found)
