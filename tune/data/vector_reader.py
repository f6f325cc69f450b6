"""How the embeddings of a dataset's rows are read: its own, or those of views of its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64, UInt

from lit_precompute.schemas.tables import EMBEDDING
from lit_precompute.schemas.vectors import numpy_type
from lit_precompute.tune.data.joined_dataset import Blocks


class VectorReader:
    """Reads vectors, viewed as unsigned integers: NumPy copies those faster than bfloat16.

    Attributes:
      views: of each image one is drawn in each epoch; equal datasets but for the embeddings.
      images: what embeddings are read of: each view, or the dataset alone.
      type: the stored type of vectors.
      has_scales: whether they are int8 and so have scales.
      bytes_per_vector: memory that a vector takes, including its scale.
    """

    def __init__(self, dataset: Blocks, views: Sequence[Blocks] = ()):
        """Takes the dataset, and its views, if they are to be read."""
        self.views = views
        self.images = views or (dataset,)
        self.type = numpy_type(self.images[0].vector_type)
        self.has_scales = self.images[0].vector_type == "int8"
        self.bytes_per_vector = dataset.width * self.type.itemsize + 4 * self.has_scales
        self._dataset, self._unsigned = dataset, f"u{self.type.itemsize}"

    def empty(self, num_rows: int) -> UInt[np.ndarray, "{num_rows} width"]:
        """Returns uninitialised vectors."""
        return np.empty((num_rows, self._dataset.width), self._unsigned)

    def empty_scales(self, num_rows: int) -> Float32[np.ndarray, " {num_rows}"] | None:
        """Returns uninitialised scales; None where vectors have none."""
        return np.empty(num_rows, np.float32) if self.has_scales else None

    def fetch_ahead(self, blocks: Sequence[int], text_columns: Sequence[str] = ()) -> None:
        """Begins to fetch the files of blocks, of embeddings and of these columns of the dataset's texts."""
        if not self.views:
            self._dataset.fetch_ahead(blocks, [EMBEDDING, *text_columns])
            return
        if text_columns:
            self._dataset.fetch_ahead(blocks, text_columns)
        for view in self.views:
            view.fetch_ahead(blocks, [EMBEDDING])

    def skip(self, blocks: Sequence[int]) -> None:
        """Notes that vectors of blocks for which `fetch_ahead` was called will not be read."""
        for each in self.images:
            each.skip(blocks, [EMBEDDING])

    def read(
        self, block: int, row_numbers: Int64[np.ndarray, " n"], view: int = 0
    ) -> tuple[UInt[np.ndarray, "n width"], Float32[np.ndarray, " n"] | None]:
        """Returns vectors and scales of rows with these ascending numbers, all of one block."""
        stored = self.images[view].read_block(block, [EMBEDDING]).stored()
        vectors = stored.numbers.view(self._unsigned)
        if len(row_numbers) == len(vectors):
            return vectors, stored.scales
        places = row_numbers - self._dataset.block_span(block)[0]
        return vectors[places], None if stored.scales is None else stored.scales[places]


class ResidentVectors:
    """Vectors of many rows, in memory: all of the first view, then of the next; without views there is one.

    Attributes:
      vectors: views one after another, with `distance` rows each.
      scales: of int8 vectors.
      distance: from a row of one view to that of the next.
    """

    def __init__(self, reader: VectorReader, most_rows: int):
        """Takes how many rows there may be; memory is touched only where rows are read."""
        self._reader, self.distance = reader, most_rows
        self.vectors = reader.empty(len(reader.images) * most_rows)
        self.scales = reader.empty_scales(len(self.vectors))

    def read(self, block: int, first_rank: int, row_numbers: Int64[np.ndarray, " n"]) -> None:
        """Reads the rows of one block with these ascending numbers, of all views, into the ranks from the first on."""
        for view in range(len(self._reader.images)):
            start = view * self.distance + first_rank
            here = slice(start, start + len(row_numbers))
            self.vectors[here], scales = self._reader.read(block, row_numbers, view)
            if self.scales is not None:
                self.scales[here] = scales
