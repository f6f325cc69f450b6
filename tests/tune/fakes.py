"""An embedding dataset without a disk, for tests that make thousands of them: what BatchSource asks of a real one."""

import ml_dtypes
import numpy as np
import pyarrow as pa

_TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


class FakeDataset:
    """Row r's vector is r in its first half and -r in its second; its texts are as given."""

    def __init__(self, block_sizes, texts=None, *, width=4, vector_type="float32"):
        self.path = "fake"
        self.tables = ["embeddings", "captions"]
        self.width, self.vector_type = width, vector_type
        self.num_blocks, self.num_rows = len(block_sizes), sum(block_sizes)
        self._ends = np.cumsum([0, *block_sizes])
        self.texts = (
            texts if texts is not None else [[f"w{row} t{k}" for k in range(2)] for row in range(self.num_rows)]
        )
        self.reads: list[tuple[int, str]] = []

    def __len__(self):
        return self.num_rows

    def block_span(self, block):
        return int(self._ends[block]), int(self._ends[block + 1])

    def vectors(self, rows):
        signs = np.where(np.arange(self.width) < self.width // 2, 1, -1)
        return (np.asarray(rows)[:, None] * signs).astype(_TYPES[self.vector_type])

    def read_block(self, block, columns):
        start, stop = self.block_span(block)
        self.reads += [(block, column) for column in columns]
        makers = {
            "texts": lambda: pa.array(self.texts[start:stop], pa.list_(pa.string())),
            "embedding": lambda: self.vectors(np.arange(start, stop)),
        }
        return {column: makers[column]() for column in columns}
