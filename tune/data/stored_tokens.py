"""Tokens that a table of the dataset has: the source of texts that tokenises nothing."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int32, Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.token_tables import TOKENS, are_blank, from_lists
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.towers.tokenizers.pieces import Pieces
from lit_precompute.tune.data.text_source import Arrays, Choose, ReadTexts, TextCounts
from lit_precompute.tune.data.tokenised_texts import TokenRows


class StoredTokens(TokenRows):
    """See `TextSource`. Rows of tokens are assembled of a table's pieces whenever they are read."""

    columns: Sequence[str] = (TOKENS,)

    def __init__(self, dataset: EmbeddingDataset, tokenizer: Tokenizer, max_tokens: int):
        """Takes the dataset, of which one token table is open, and the tokenizer that the table was made with."""
        super().__init__(tokenizer, max_tokens)
        self._dataset = dataset

    def counts(self, block: int) -> TextCounts:
        """See `TextSource`."""
        texts = self._read(block)
        blank, owners = are_blank(texts.flatten()), _owners(texts)
        num_blank = np.bincount(owners[blank], minlength=len(texts))
        return TextCounts(np.bincount(owners, minlength=len(texts)) - num_blank, num_blank)

    def read(self, block: int, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        counts, lists = self._texts(block, places)
        return ReadTexts(counts, self.to_kept(self._assemble(lists)))

    def read_chosen(self, block: int, places: Int64[np.ndarray, " n"], choose: Choose) -> Arrays:
        """See `TextSource`."""
        counts, lists = self._texts(block, places)
        chosen = np.cumsum(counts) - counts + choose(counts)
        return (self._assemble(lists.take(pa.array(chosen))),)

    def _read(self, block: int) -> pa.ListArray:
        return self._dataset.read_block(block, [TOKENS])[TOKENS]

    def _texts(self, block: int, places: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " n"], pa.ListArray]:
        """Returns how many texts that show anything some rows have, and these texts."""
        texts = self._read(block)
        if len(places) < len(texts):
            texts = texts.take(pa.array(places))
        lists = texts.flatten()
        blank = are_blank(lists)
        counts = np.bincount(_owners(texts)[~blank], minlength=len(texts))
        return counts, lists.filter(pa.array(~blank)) if blank.any() else lists

    def _assemble(self, lists: pa.ListArray) -> Int32[np.ndarray, "n length"]:
        return self.tokenizer.assemble(Pieces(*from_lists(lists)), self.max_tokens)


def _owners(texts: pa.ListArray) -> Int64[np.ndarray, " texts"]:
    """Returns the row that each text belongs to."""
    return np.asarray(pc.call_function("list_parent_indices", [texts]), np.int64)
