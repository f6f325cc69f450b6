"""The texts of several datasets as one, beside `JoinedDataset`: those of a block are its own dataset's.

Promises: what a joined row's texts become is what its dataset's sources make of them; tokens of one dataset may be read
from a table, and those of another made here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import Blocks, JoinedDataset
from lit_precompute.tune.data.text_source import ReadTexts


class JoinedTexts(ChosenTexts):
    """See `ChosenTexts`."""

    def __init__(self, dataset: JoinedDataset, texts: Sequence[ChosenTexts]):
        """Takes the joined dataset, and the texts of each of its datasets; all are chosen by the same options."""
        assert len(texts) == len(dataset.datasets), (len(texts), len(dataset.datasets))
        super().__init__(dict(zip(texts[0].names, texts[0].sources, strict=True)), texts[0].options)
        self._dataset, self._texts = dataset, texts
        self.columns = tuple(dict.fromkeys(name for each in texts for name in each.columns))

    def read_block(self, dataset: Blocks, block: int) -> RowBlock:
        """See `ChosenTexts`."""
        number, _ = self._dataset.locate(block)
        return dataset.read_block(block, self._texts[number].columns)

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> list[ReadTexts]:
        """See `ChosenTexts`."""
        number = np.searchsorted(self._dataset.first_rows, block.first_row, side="right") - 1
        return self._texts[int(number)].read(block, places)
