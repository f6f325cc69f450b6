"""All texts of all rows, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.row_index import for_each
from lit_precompute.tune.data.row_reader import RowReader
from lit_precompute.tune.data.text_source import Arrays, ReadTexts


class BlockTexts(NamedTuple):
    """All texts of some rows of a block, as they are kept.

    Attributes:
      counts: how many each row has, field by field.
      arrays: of each field.
    """

    counts: Int64[np.ndarray, "fields n"]
    arrays: Sequence[Arrays]

    @classmethod
    def of(cls, texts: ChosenTexts, fields: Sequence[ReadTexts], counts: Int64[np.ndarray, "fields n"]) -> BlockTexts:
        """Returns texts that were read of rows, without those that have none in any field."""
        arrays = [source.to_kept(each) for source, each in zip(texts.sources, fields, strict=True)]
        return cls(counts, arrays)


class KeptTexts:
    """All texts of all rows of an index, so that a step only gathers them."""

    def __init__(self, reader: RowReader, fields: Sequence[ReadTexts]):
        """Takes what the rows are read by, and the texts of each field."""
        self._reader, self._fields = reader, fields

    def reordered(self, reader: RowReader) -> KeptTexts:
        """Returns the same texts, drawn as another reader of the same rows does."""
        return KeptTexts(reader, self._fields)

    def gather(self, ranks: Int64[np.ndarray, " n"], epoch: int) -> Arrays:
        """Returns the texts that rows contribute in an epoch."""
        row_numbers = self._reader.index.row_numbers[ranks]
        return self._reader.texts.choose(self._fields, ranks, row_numbers, seed=self._reader.seed, epoch=epoch)


def read_texts(reader: RowReader) -> KeptTexts:
    """Returns all texts, read block by block."""
    joining, index = _Joining(reader), reader.index

    def read(block: int) -> None:
        ranks = index.ranks(block)
        fields = reader.read_texts(block, ranks)
        counts = np.stack([each.counts(np.arange(len(ranks))) for each in fields])
        joining.put(block, BlockTexts.of(reader.texts, fields, counts))

    for_each(read, index.blocks())
    return joining.joined()


def join_texts(reader: RowReader, blocks: dict[int, BlockTexts]) -> KeptTexts:
    """Returns the texts of all blocks, which leave the dictionary one by one."""
    joining = _Joining(reader)
    for block in reader.index.blocks():
        joining.put(block, blocks.pop(block))
    return joining.joined()


class _Joining:
    """Arrays of all rows' texts, that are filled block by block, from any thread."""

    def __init__(self, reader: RowReader):
        self._reader, index = reader, reader.index
        pairs = zip(reader.texts.sources, index.block_texts, strict=True)
        self._arrays = [source.empty_kept(int(ends[-1])) for source, ends in pairs]
        self._counts = np.empty((len(self._arrays), len(index)), np.int64)

    def put(self, block: int, texts: BlockTexts) -> None:
        index = self._reader.index
        self._counts[:, slice(*index.block_ranks[block : block + 2])] = texts.counts
        for field, own in enumerate(texts.arrays):
            here = slice(*index.block_texts[field, block : block + 2])
            for whole, part in zip(self._arrays[field], own, strict=True):
                whole[here] = part

    def joined(self) -> KeptTexts:
        trios = zip(self._reader.texts.sources, self._counts, self._arrays, strict=True)
        return KeptTexts(self._reader, [source.kept(counts, arrays) for source, counts, arrays in trios])
