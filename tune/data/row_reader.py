"""How the embeddings and texts of an index's rows are read; both kinds of rows, resident and windowed, use it.

Does not: order or keep anything.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.row_index import RowIndex
from lit_precompute.tune.data.text_source import Arrays, ReadTexts
from lit_precompute.tune.data.vector_reader import VectorReader


class Rows(NamedTuple):
    """Rows in a batch's order, with the stored vectors of their embeddings; int8 vectors have scales."""

    vectors: Shaped[np.ndarray, "n width"]
    scales: Float32[np.ndarray, " n"] | None
    texts: Arrays
    row_numbers: Int64[np.ndarray, " n"]

    def typed(self, vector_type: np.dtype) -> "Rows":
        """Returns the same rows with vectors viewed as their own type instead of unsigned integers."""
        return self._replace(vectors=self.vectors.view(vector_type))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowReader:
    """Reads the rows of an index.

    Attributes:
      dataset: has the texts.
      texts: what rows contribute.
      index: of the rows.
      seed: for orders and draws.
      batch_size: rows of a batch.
      vectors: reads the embeddings.
    """

    dataset: Blocks
    texts: ChosenTexts
    index: RowIndex
    seed: int
    batch_size: int
    vectors: VectorReader

    def empty_rows(self, num_rows: int) -> Rows:
        """Returns uninitialised rows."""
        texts = self.texts.empty_chosen(num_rows)
        vectors, scales = self.vectors.empty(num_rows), self.vectors.empty_scales(num_rows)
        return Rows(vectors, scales, texts, np.empty(num_rows, np.int64))

    @property
    def num_left_out(self) -> int:
        """How many rows an epoch leaves out."""
        return len(self.index) % self.batch_size

    def left_out(self, epoch: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of the rows that an epoch leaves out, ascending."""
        return random_draws.left_out(self.seed, epoch, len(self.index), self.num_left_out)

    def read_chosen(self, block: int, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns the texts that rows of one block contribute in an epoch."""
        fields, row_numbers = self.read_texts(block, ranks), self.index.row_numbers[ranks]
        return self.texts.choose(fields, np.arange(len(ranks)), row_numbers, seed=self.seed, epoch=epoch)

    def read_texts(self, block: int, ranks: Int64[np.ndarray, " n"]) -> list[ReadTexts]:
        """Returns the texts of rows of one block, field by field."""
        return self.texts.read(
            self.texts.read_block(self.dataset, block),
            self.index.row_numbers[ranks] - self.dataset.block_span(block)[0],
        )
