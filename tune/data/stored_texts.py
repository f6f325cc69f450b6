"""Stored embeddings of a frozen text tower: the source of texts where only a head over them is trained.

A row has one text, that whose embedding the table has, or none: its embedding is zeros.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from lit_precompute.schemas import EmbeddingDataset, RowBlock
from lit_precompute.schemas.text_tower_card import TEXT_EMBEDDING, TextEmbeddingsInfo, info_attachment
from lit_precompute.schemas.vectors import StoredVectors, numpy_type
from lit_precompute.tune.data.text_source import Arrays, ReadTexts, Texts, TextTotals


class StoredTexts:
    """See `TextSource`. Embeddings as the table stores them, with scales where they are int8."""

    columns: Sequence[str] = (TEXT_EMBEDDING,)

    def __init__(self, dataset: EmbeddingDataset, table: str):
        """Takes the dataset, with the table open.

        Raises:
          ValueError: the table has no text embeddings.
        """
        self.table = table
        column = next((each for each in dataset.manifest.table(table).columns if each.name == TEXT_EMBEDDING), None)
        if column is None or column.width is None or column.vector_type is None:
            raise ValueError(f"{dataset.path}: the table '{table}' must have the column '{TEXT_EMBEDDING}' of vectors")
        assert _first_with_texts(dataset) == table, dataset.tables
        self.width, self.vector_type = column.width, column.vector_type
        self._type = numpy_type(column.vector_type)
        self._has_scales = column.vector_type == "int8"

    @property
    def bytes_per_chosen(self) -> int:
        """See `TextSource`."""
        return self.width * self._type.itemsize + 4 * self._has_scales

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        stored = block.stored(TEXT_EMBEDDING)
        has_text = _has_text(stored.numbers[places])
        here = places[has_text]
        totals = TextTotals(kept_bytes=len(here) * self.bytes_per_chosen)
        return ReadTexts(has_text.astype(np.int64), lambda chosen: self._arrays(stored, here, chosen), totals)

    def empty_kept(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        # Viewed as unsigned integers: NumPy copies those faster than bfloat16.
        numbers = np.empty((num_texts, self.width), f"u{self._type.itemsize}")
        return (numbers, np.empty(num_texts, np.float32)) if self._has_scales else (numbers,)

    def to_kept(self, read: ReadTexts) -> Arrays:
        """See `TextSource`."""
        return read.all()

    def kept(self, counts: Int64[np.ndarray, " n"], kept: Arrays) -> ReadTexts:
        """See `TextSource`."""
        return ReadTexts(counts, lambda chosen: kept if chosen is None else tuple(array[chosen] for array in kept))

    def empty_chosen(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return self.empty_kept(num_texts)

    def absent(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return tuple(np.zeros_like(array) for array in self.empty_kept(num_texts))

    def in_batch(self, chosen: Arrays) -> Texts:
        """See `TextSource`."""
        return StoredVectors(chosen[0].view(self._type), chosen[1] if self._has_scales else None)

    def _arrays(
        self, stored: StoredVectors, here: Int64[np.ndarray, " n"], chosen: Int64[np.ndarray, " m"] | None
    ) -> Arrays:
        places = here if chosen is None else here[chosen]
        numbers = stored.numbers.view(f"u{self._type.itemsize}")[places]
        return (numbers,) if stored.scales is None else (numbers, stored.scales[places])


def _has_text(numbers: Shaped[np.ndarray, "n width"]) -> Bool[np.ndarray, " n"]:
    return np.asarray(numbers.any(axis=1))


def info_of(dataset: EmbeddingDataset, table: str) -> TextEmbeddingsInfo | None:
    """Returns what a table was made with; None for a table that was imported.

    Raises:
      DatasetError: its description is damaged.
      ValueError: it is something else.
    """
    name = info_attachment(table)
    if name not in dataset.manifest.attachments:
        return None
    return TextEmbeddingsInfo.model_validate_json(dataset.attachment(name))


def opened_with(dataset: EmbeddingDataset, table: str) -> EmbeddingDataset:
    """Returns the dataset if text embeddings are read from this table, or else another opening of it.

    Raises:
      DatasetError: there is no such table.
    """
    if _first_with_texts(dataset) == table:
        return dataset
    return EmbeddingDataset.open(dataset.path, tables=[dataset.embeddings, table])


def _first_with_texts(dataset: EmbeddingDataset) -> str | None:
    """Returns the open table that the column of text embeddings is read from."""
    has_texts = (
        name
        for name in dataset.tables
        if any(column.name == TEXT_EMBEDDING for column in dataset.manifest.table(name).columns)
    )
    return next(has_texts, None)
