"""How the embeddings and texts of an index's rows are read; both kinds of rows, resident and windowed, use it.

Does not: order or cache anything, but for all texts where they are kept.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.vectors import numpy_type
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks
from lit_precompute.tune.data.row_index import RowIndex, for_each
from lit_precompute.tune.data.text_source import Arrays, ReadTexts


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
      dataset: has the texts, and the embeddings unless there are views.
      texts: what rows contribute.
      index: of the rows.
      seed: for orders and draws.
      batch_size: rows of a batch.
      views: of each image one is drawn in each epoch; equal datasets but for the embeddings.
    """

    dataset: Blocks
    texts: ChosenTexts
    index: RowIndex
    seed: int
    batch_size: int
    views: Sequence[Blocks] = ()

    @property
    def images(self) -> Sequence[Blocks]:
        """What embeddings are read of: each view, or the dataset alone."""
        return self.views or (self.dataset,)

    def fetch_ahead(self, blocks: Sequence[int], *, texts: bool) -> None:
        """Begins to fetch the files of blocks, of embeddings and, where asked, of texts."""
        columns = self.texts.columns if texts else ()
        if not self.views:
            self.dataset.fetch_ahead(blocks, ["embedding", *columns])
            return
        if columns:
            self.dataset.fetch_ahead(blocks, columns)
        for view in self.views:
            view.fetch_ahead(blocks, ["embedding"])

    @property
    def vector_type(self) -> np.dtype:
        """The stored type of vectors."""
        return numpy_type(self.images[0].vector_type)

    def empty_vectors(self, num_rows: int) -> UInt[np.ndarray, "{num_rows} width"]:
        """Returns uninitialised vectors, viewed as unsigned integers: NumPy copies those faster than bfloat16."""
        return np.empty((num_rows, self.dataset.width), f"u{self.vector_type.itemsize}")

    @property
    def has_scales(self) -> bool:
        """Whether vectors are int8 and so have scales."""
        return self.images[0].vector_type == "int8"

    def empty_scales(self, num_rows: int) -> Float32[np.ndarray, " {num_rows}"] | None:
        """Returns uninitialised scales; None where vectors have none."""
        return np.empty(num_rows, np.float32) if self.has_scales else None

    def empty_rows(self, num_rows: int) -> Rows:
        """Returns uninitialised rows."""
        texts = self.texts.empty_chosen(num_rows)
        return Rows(self.empty_vectors(num_rows), self.empty_scales(num_rows), texts, np.empty(num_rows, np.int64))

    @property
    def bytes_per_vector(self) -> int:
        """Memory that a vector takes, including its scale."""
        return self.dataset.width * self.vector_type.itemsize + 4 * self.has_scales

    @property
    def num_left_out(self) -> int:
        """How many rows an epoch leaves out."""
        return len(self.index) % self.batch_size

    def left_out(self, epoch: int) -> Int64[np.ndarray, " n"]:
        """Returns the ranks of the rows that an epoch leaves out, ascending."""
        return random_draws.left_out(self.seed, epoch, len(self.index), self.num_left_out)

    def read_vectors(
        self, block: int, ranks: Int64[np.ndarray, " n"], view: int = 0
    ) -> tuple[UInt[np.ndarray, "n width"], Float32[np.ndarray, " n"] | None]:
        """Returns vectors and scales of these ascending ranks, all of one block, typed as `empty_vectors`' are."""
        stored = self.images[view].read_block(block, ["embedding"]).stored()
        vectors = stored.numbers.view(f"u{self.vector_type.itemsize}")
        places = self._places(block, ranks)
        if len(places) == len(vectors):
            return vectors, stored.scales
        return vectors[places], None if stored.scales is None else stored.scales[places]

    def read_chosen(self, block: int, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns the texts that rows of one block contribute in an epoch."""
        fields = self.texts.read(self._read_texts(block), self._places(block, ranks))
        row_numbers = self.index.row_numbers[ranks]
        return self.texts.choose(fields, np.arange(len(ranks)), row_numbers, seed=self.seed, epoch=epoch)

    def _read_texts(self, block: int) -> RowBlock:
        return self.texts.read_block(self.dataset, block)

    def _places(self, block: int, ranks: np.ndarray) -> np.ndarray:
        return self.index.row_numbers[ranks] - self.dataset.block_span(block)[0]

    def keep_texts(self) -> "KeptTexts":
        """Returns all texts of all rows."""
        sources, index = self.texts.sources, self.index
        kept = [source.empty_kept(int(ends[-1])) for source, ends in zip(sources, index.block_texts, strict=True)]
        counts = np.empty((len(sources), len(index)), np.int64)

        def fill(block: int) -> None:
            ranks = index.ranks(block)
            fields = self.texts.read(self._read_texts(block), self._places(block, ranks))
            for field, texts in enumerate(fields):
                counts[field, ranks] = texts.counts(np.arange(len(ranks)))
                here = slice(*index.block_texts[field, block : block + 2])
                for whole, part in zip(kept[field], sources[field].to_kept(texts), strict=True):
                    whole[here] = part

        for_each(fill, index.blocks())
        return KeptTexts(self, [each.kept(own, texts) for each, own, texts in zip(sources, counts, kept, strict=True)])


class KeptTexts:
    """All texts of all rows of an index, in memory, so that a step only gathers them."""

    def __init__(self, reader: RowReader, fields: Sequence[ReadTexts]):
        """Takes what the rows are read by, and the texts of each field."""
        self._reader, self._fields = reader, fields

    def reordered(self, reader: RowReader) -> "KeptTexts":
        """Returns the same texts, drawn as another reader of the same rows does."""
        return KeptTexts(reader, self._fields)

    def gather(self, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns the texts that rows contribute in an epoch."""
        row_numbers = self._reader.index.row_numbers[ranks]
        return self._reader.texts.choose(self._fields, ranks, row_numbers, seed=self._reader.seed, epoch=epoch)
