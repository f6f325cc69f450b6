"""The texts of several datasets as one source, beside `JoinedDataset`: those of a block are its own dataset's.

Promises: what a joined row's texts become is what its dataset's source makes of them; tokens of one dataset may be read
from a table, and those of another made here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.joined_dataset import JoinedDataset
from lit_precompute.tune.data.text_source import Arrays, Choose, ReadTexts, TextCounts, Texts, TextSource


class JoinedTexts:
    """See `TextSource`."""

    def __init__(self, dataset: JoinedDataset, sources: Sequence[TextSource]):
        """Takes the joined dataset, and the source of each of its datasets; all give texts of one form."""
        assert len(sources) == len(dataset.datasets), (len(sources), len(dataset.datasets))
        self._dataset, self._sources = dataset, sources
        self.columns: Sequence[str] = list(dict.fromkeys(name for source in sources for name in source.columns))

    @property
    def bytes_per_kept(self) -> int:
        """See `TextSource`."""
        return self._sources[0].bytes_per_kept

    @property
    def bytes_per_chosen(self) -> int:
        """See `TextSource`."""
        return self._sources[0].bytes_per_chosen

    def counts(self, block: int) -> TextCounts:
        """See `TextSource`."""
        source, within = self._locate(block)
        return source.counts(within)

    def read(self, block: int, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        source, within = self._locate(block)
        return source.read(within, places)

    def read_chosen(self, block: int, places: Int64[np.ndarray, " n"], choose: Choose) -> Arrays:
        """See `TextSource`."""
        source, within = self._locate(block)
        return source.read_chosen(within, places, choose)

    def empty_kept(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].empty_kept(num_texts)

    def empty_chosen(self, num_rows: int) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].empty_chosen(num_rows)

    def from_kept(self, kept: Arrays) -> Arrays:
        """See `TextSource`."""
        return self._sources[0].from_kept(kept)

    def in_batch(self, chosen: Arrays) -> Texts:
        """See `TextSource`."""
        return self._sources[0].in_batch(chosen)

    def _locate(self, block: int) -> tuple[TextSource, int]:
        number, within = self._dataset.locate(block)
        return self._sources[number], within
