"""How long texts are in pieces, and how many of them a row of tokens cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from lit_precompute.towers.tokenizers.tokenizer import Tokenizer

# Texts tokenised at a time: bounds the memory of their pieces.
_CHUNK_TEXTS = 1_024


class TextLengths(NamedTuple):
    """Lengths of some texts, in pieces: before they are cut and without special tokens.

    Attributes:
      num_texts: how many texts were measured.
      median: half of the texts have at most so many pieces.
      percentile_90: 90% of them.
      percentile_99: 99% of them.
      longest: all of them.
      max_pieces: how many pieces a row has room for.
      num_cut: how many of the texts have more.
    """

    num_texts: int
    median: int
    percentile_90: int
    percentile_99: int
    longest: int
    max_pieces: int
    num_cut: int

    @classmethod
    def of_counts(cls, counts: Int64[np.ndarray, " n"], max_pieces: int) -> TextLengths:
        """Returns the lengths of texts with so many pieces each, at least one text."""
        median, most, nearly_all, longest = np.percentile(counts, (50, 90, 99, 100), method="inverted_cdf").tolist()
        num_cut = int((counts > max_pieces).sum())
        return cls(len(counts), int(median), int(most), int(nearly_all), int(longest), max_pieces, num_cut)


def measure_lengths(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> TextLengths:
    """Returns the lengths of texts, at least one, and how many of them a row of `max_tokens` cuts."""
    chunks = (texts[start : start + _CHUNK_TEXTS] for start in range(0, len(texts), _CHUNK_TEXTS))
    counts = np.concatenate([tokenizer.pieces(chunk).counts for chunk in chunks])
    return TextLengths.of_counts(counts, tokenizer.max_pieces(max_tokens))
