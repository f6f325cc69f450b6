"""Tokens that a table of the dataset has: the source of texts that tokenises nothing."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int32, Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.token_tables import TOKENS, are_blank, from_lists
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.towers.tokenizers.pieces import Pieces
from lit_precompute.tune.data.camera_names import are_camera_names
from lit_precompute.tune.data.text_source import ReadTexts, TextCounts
from lit_precompute.tune.data.tokenised_texts import TokenRows


class StoredTokens(TokenRows):
    """See `TextSource`. Rows of tokens are assembled of a table's pieces whenever they are read."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, column: str = TOKENS, filtered: str | None = None):
        """Takes the tokenizer that the table was made with, its column of tokens, and a field to filter them by."""
        super().__init__(tokenizer, max_tokens)
        self._filtered = filtered
        self.columns: Sequence[str] = (column,) if filtered is None else (column, filtered)

    def counts(self, block: RowBlock) -> TextCounts:
        """See `TextSource`."""
        texts = block[self.columns[0]]
        blank, owners = are_blank(texts.flatten()), _owners(texts)
        is_name = self._are_names(block, None) & ~blank
        num_blank, num_names = (np.bincount(owners[each], minlength=len(texts)) for each in (blank, is_name))
        counts = np.bincount(owners, minlength=len(texts)) - num_blank - num_names
        return TextCounts(counts, num_blank, num_names, counts * self.bytes_per_kept)

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        texts = block[self.columns[0]]
        if len(places) < len(texts):
            texts = texts.take(pa.array(places))
        lists = texts.flatten()
        left_out = are_blank(lists) | self._are_names(block, places)
        counts = np.bincount(_owners(texts)[~left_out], minlength=len(texts))
        shown = lists.filter(pa.array(~left_out)) if left_out.any() else lists
        return ReadTexts(
            counts, lambda chosen: (self._assemble(shown if chosen is None else shown.take(pa.array(chosen))),)
        )

    def _are_names(self, block: RowBlock, places: Int64[np.ndarray, " n"] | None) -> Bool[np.ndarray, "..."]:
        """Returns for each text of some rows whether it is filtered out; the table's lists are parallel to texts."""
        if self._filtered is None:
            return np.zeros((), bool)
        texts = block[self._filtered] if places is None else block[self._filtered].take(pa.array(places))
        return np.asarray(are_camera_names(texts.flatten()))

    def _assemble(self, lists: pa.ListArray) -> Int32[np.ndarray, "n length"]:
        return self.tokenizer.assemble(Pieces(*from_lists(lists)), self.max_tokens)


def _owners(texts: pa.ListArray) -> Int64[np.ndarray, " texts"]:
    """Returns the row that each text belongs to."""
    return np.asarray(pc.call_function("list_parent_indices", [texts]), np.int64)
