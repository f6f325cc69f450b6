"""Tokens that a table of the dataset has: the source of texts that tokenises nothing."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32, Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.token_tables import TOKENS, are_blank, from_lists
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.towers.tokenizers.pieces import Pieces
from lit_precompute.tune.data.camera_names import are_camera_names
from lit_precompute.tune.data.text_source import ReadTexts, TextTotals
from lit_precompute.tune.data.texts import at_places
from lit_precompute.tune.data.tokenised_texts import TokenRows


class StoredTokens(TokenRows):
    """See `TextSource`. Rows of tokens are assembled of a table's pieces whenever they are read."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, column: str = TOKENS, filtered: str | None = None):
        """Takes the tokenizer that the table was made with, its column of tokens, and a field to filter them by."""
        super().__init__(tokenizer, max_tokens)
        self._filtered = filtered
        self.columns: Sequence[str] = (column,) if filtered is None else (column, filtered)

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        texts = at_places(block[self.columns[0]], places)
        lists, counts = texts.flatten(), np.diff(texts.offsets.to_numpy()).astype(np.int64)
        blank, is_name = are_blank(lists), self._are_names(block, places)
        if (left_out := blank | is_name).any():
            owners = np.repeat(np.arange(len(counts)), counts)
            lists, counts = lists.filter(pa.array(~left_out)), np.bincount(owners[~left_out], minlength=len(counts))
        totals = TextTotals(int(blank.sum()), int((is_name & ~blank).sum()), len(lists) * self.bytes_per_kept)
        return ReadTexts(
            counts, lambda chosen: (self._assemble(lists if chosen is None else lists.take(pa.array(chosen))),), totals
        )

    def _are_names(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, "..."]:
        """Returns for each text of some rows whether it is filtered out; the table's lists are parallel to texts."""
        if self._filtered is None:
            return np.zeros((), bool)
        return np.asarray(are_camera_names(at_places(block[self._filtered], places).flatten()))

    def _assemble(self, lists: pa.ListArray) -> Int32[np.ndarray, "n length"]:
        return self.tokenizer.assemble(Pieces(*from_lists(lists)), self.max_tokens)
