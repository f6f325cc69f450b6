"""Captions tokenised here: the source of texts where no table has their tokens."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int32, Int64

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.data.text_source import Arrays, Choose, ReadTexts, TextCounts, Texts
from lit_precompute.tune.data.texts import RowTexts, TextOptions, read_texts, row_texts


class TokenRows:
    """What sources of tokens share: rows of one length, kept in the smallest type that holds the ids."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int):
        """Takes the tokenizer, and the length of rows."""
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self._kept_type = np.dtype(np.uint16 if tokenizer.vocabulary_size <= 2**16 else np.int32)

    @property
    def bytes_per_kept(self) -> int:
        """See `TextSource`."""
        return self.max_tokens * self._kept_type.itemsize

    @property
    def bytes_per_chosen(self) -> int:
        """See `TextSource`."""
        return 4 * self.max_tokens

    def empty_kept(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return (np.empty((num_texts, self.max_tokens), self._kept_type),)

    def empty_chosen(self, num_rows: int) -> Arrays:
        """See `TextSource`."""
        return (np.empty((num_rows, self.max_tokens), np.int32),)

    def to_kept(self, tokens: Int32[np.ndarray, "n length"]) -> Arrays:
        """Returns rows of tokens as they are kept."""
        return (tokens.astype(self._kept_type),)

    def from_kept(self, kept: Arrays) -> Arrays:
        """See `TextSource`."""
        return (kept[0].astype(np.int32),)

    def in_batch(self, chosen: Arrays) -> Texts:
        """See `TextSource`."""
        return chosen[0]


class TokenisedTexts(TokenRows):
    """See `TextSource`. Texts are tokenised whenever they are read."""

    columns: Sequence[str] = ("texts",)

    def __init__(self, dataset: EmbeddingDataset, tokenizer: Tokenizer, options: TextOptions):
        """Raises ValueError if tokenizer and options disagree on lower-casing."""
        if tokenizer.lower_case not in (None, options.lower_case):
            raise ValueError(
                f"text.lower_case is {options.lower_case}, the tokenizer's {tokenizer.lower_case}: they must agree"
            )
        super().__init__(tokenizer, options.max_tokens)
        self._dataset, self._options = dataset, options

    def counts(self, block: int) -> TextCounts:
        """See `TextSource`."""
        texts = row_texts(read_texts(self._dataset, block), self._options)
        return TextCounts(texts.counts, texts.blank_counts)

    def read(self, block: int, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        texts = self._texts(block, places)
        return ReadTexts(texts.counts, self.to_kept(self._encode(texts.strings)))

    def read_chosen(self, block: int, places: Int64[np.ndarray, " n"], choose: Choose) -> Arrays:
        """See `TextSource`."""
        texts = self._texts(block, places)
        chosen = np.cumsum(texts.counts) - texts.counts + choose(texts.counts)
        return (self._encode(texts.strings.take(pa.array(chosen))),)

    def _texts(self, block: int, places: Int64[np.ndarray, " n"]) -> RowTexts:
        return row_texts(read_texts(self._dataset, block).take(pa.array(places)), self._options)

    def _encode(self, strings: pa.Array) -> Int32[np.ndarray, "n length"]:
        return self.tokenizer.encode(strings.to_pylist(), self.max_tokens)
