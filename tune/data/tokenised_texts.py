"""Captions tokenised here: the source of texts where no table has their tokens."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int32, Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.towers.tokenizers import Tokenizer
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_source import Arrays, ReadTexts, Texts, TextTotals
from lit_precompute.tune.data.texts import TEXTS, RowTexts, at_places, row_texts


class TokenRows:
    """What sources of tokens share: rows of one length, kept in the smallest type that holds the ids."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int):
        """Takes the tokenizer, and the length of rows."""
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self._kept_type = np.dtype(np.uint16 if tokenizer.vocabulary_size <= 2**16 else np.int32)

    @property
    def bytes_per_kept(self) -> int:
        """Memory that a kept text takes."""
        return self.max_tokens * self._kept_type.itemsize

    @property
    def bytes_per_chosen(self) -> int:
        """See `TextSource`."""
        return 4 * self.max_tokens

    def empty_kept(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return (np.empty((num_texts, self.max_tokens), self._kept_type),)

    def to_kept(self, read: ReadTexts) -> Arrays:
        """See `TextSource`."""
        return tuple(tokens.astype(self._kept_type) for tokens in read.all())

    def kept(self, counts: Int64[np.ndarray, " n"], kept: Arrays) -> ReadTexts:
        """See `TextSource`."""
        (tokens,) = kept
        return ReadTexts(counts, lambda places: ((tokens if places is None else tokens[places]).astype(np.int32),))

    def empty_chosen(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return (np.empty((num_texts, self.max_tokens), np.int32),)

    def absent(self, num_texts: int) -> Arrays:
        """See `TextSource`: the tokens of an empty text, since no tower is meant for rows that are padding alone."""
        return (np.tile(self.tokenizer.encode([""], self.max_tokens), (num_texts, 1)),)

    def in_batch(self, chosen: Arrays) -> Texts:
        """See `TextSource`."""
        return chosen[0]


class TokenisedTexts(TokenRows):
    """See `TextSource`. Texts are tokenised whenever they are read."""

    def __init__(self, tokenizer: Tokenizer, options: TextOptions, field: str = TEXTS, *, is_there: bool = True):
        """Takes the tokenizer, and the field; if it is not there, no row has a text of it.

        Raises:
          ValueError: tokenizer and options disagree on lower-casing.
        """
        if tokenizer.lower_case not in (None, options.lower_case):
            raise ValueError(
                f"text.lower_case is {options.lower_case}, the tokenizer's {tokenizer.lower_case}: they must agree"
            )
        super().__init__(tokenizer, options.max_tokens)
        self._options, self._field = options, field
        self.columns: Sequence[str] = (field,) if is_there else ()

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        texts = self._texts(block, places)
        totals = self._totals(texts, len(texts.strings) * self.bytes_per_kept)
        return ReadTexts(texts.counts, lambda chosen: (self._encode(texts.strings, chosen),), totals)

    def _totals(self, texts: RowTexts, kept_bytes: int) -> TextTotals:
        return TextTotals(int(texts.blank_counts.sum()), int(texts.filtered_counts.sum()), kept_bytes)

    def _texts(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> RowTexts:
        """Returns the texts of the rows at these ascending places in a block."""
        column = block[self._field] if self.columns else pa.nulls(block.num_rows, pa.list_(pa.string()))
        return row_texts(at_places(column, places), self._options, self._field)

    def _encode(self, strings: pa.Array, chosen: Int64[np.ndarray, " m"] | None) -> Int32[np.ndarray, "m length"]:
        wanted = strings if chosen is None else strings.take(pa.array(chosen))
        return self.tokenizer.encode(wanted.to_pylist(), self.max_tokens)
