"""The texts of several datasets as one source, beside `JoinedDataset`: those of a block are its own dataset's.

Promises: what a joined row's texts become is what its dataset's source makes of them; tokens of one dataset may be read
from a table, and those of another made here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import JoinedDataset
from lit_precompute.tune.data.text_source import Arrays, ReadTexts, TextCounts, Texts, TextSource


class JoinedTexts:
    """See `TextSource`."""

    def __init__(self, dataset: JoinedDataset, sources: Sequence[TextSource]):
        """Takes the joined dataset, and a field's source in each of its datasets; all give texts of one form."""
        assert len(sources) == len(dataset.datasets), (len(sources), len(dataset.datasets))
        self._dataset, self._sources = dataset, sources
        self.columns: Sequence[str] = list(dict.fromkeys(name for source in sources for name in source.columns))

    @property
    def bytes_per_chosen(self) -> int:
        """See `TextSource`."""
        return self._sources[0].bytes_per_chosen

    def counts(self, block: RowBlock) -> TextCounts:
        """See `TextSource`."""
        return self._source(block).counts(block)

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        return self._source(block).read(block, places)

    def empty_kept(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].empty_kept(num_texts)

    def to_kept(self, read: ReadTexts) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].to_kept(read)

    def kept(self, counts: Int64[np.ndarray, " n"], kept: Arrays) -> ReadTexts:
        """See `TextSource`."""
        return self._sources[0].kept(counts, kept)

    def empty_chosen(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].empty_chosen(num_texts)

    def absent(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].absent(num_texts)

    def in_batch(self, chosen: Arrays) -> Texts:
        """See `TextSource`."""
        return self._sources[0].in_batch(chosen)

    def _source(self, block: RowBlock) -> TextSource:
        return self._sources[self._dataset.dataset_of(block.first_row)]


def join_texts_of(dataset: JoinedDataset, texts: Sequence[ChosenTexts]) -> ChosenTexts:
    """Returns what the rows of joined datasets contribute, whose fields are the same."""
    sources = zip(*(each.sources for each in texts), strict=True)
    fields = {name: JoinedTexts(dataset, own) for name, own in zip(texts[0].names, sources, strict=True)}
    return ChosenTexts(fields, texts[0].options)
