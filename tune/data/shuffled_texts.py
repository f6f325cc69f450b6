"""A field whose texts are shuffled and joined anew for each draw, such as tags, and then tokenised.

Source: arXiv:2111.07991, appendix C: tags are shuffled and joined "with a random space, newline, or basic punctuation
character". One character joins all texts of a draw; it stands alone, without a space.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from lit_precompute.schemas import RowBlock
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.text_source import Arrays, ReadTexts, TextTotals
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts, TokenRows

SEPARATORS = " \n,.;:-"
# Draws of an arrangement: of the order of texts, and of what joins them.
_ORDER, _SEPARATOR = 0, 1
_STRINGS = np.dtypes.StringDType()
_BYTES_PER_STRING = 16  # NumPy's, which has up to 15 bytes of the text itself


class ShuffledTexts(TokenisedTexts):
    """See `TextSource`. A row's texts are kept as strings; which of a row's is chosen is an arrangement of them all."""

    def read(self, block: RowBlock, places: Int64[np.ndarray, " n"]) -> ReadTexts:
        """See `TextSource`."""
        texts = self._texts(block, places)

        def get(chosen: Int64[np.ndarray, " m"] | None) -> Arrays:
            return (_to_numpy(texts.strings if chosen is None else texts.strings.take(pa.array(chosen))),)

        lengths = np.asarray(pc.call_function("binary_length", [texts.strings]), np.int64)
        kept_bytes = _BYTES_PER_STRING * len(lengths) + int(lengths[lengths >= _BYTES_PER_STRING].sum())
        return _Arranged(self, texts.counts, get, self._totals(texts, kept_bytes))

    def empty_kept(self, num_texts: int) -> Arrays:
        """See `TextSource`."""
        return (np.empty(num_texts, _STRINGS),)

    def to_kept(self, read: ReadTexts) -> Arrays:
        """See `TextSource`."""
        return read.all()

    def kept(self, counts: Int64[np.ndarray, " n"], kept: Arrays) -> ReadTexts:
        """See `TextSource`."""
        (strings,) = kept
        return _Arranged(self, counts, lambda chosen: (strings if chosen is None else strings[chosen],))


class _Arranged(ReadTexts):
    """Texts of which those of a row are taken together, in an arrangement."""

    def __init__(
        self,
        source: TokenRows,
        counts: Int64[np.ndarray, " n"],
        get: Callable[[Int64[np.ndarray, " m"] | None], Arrays],
        totals: TextTotals = TextTotals(),  # noqa: B008 -- immutable
    ):
        super().__init__(counts, get, totals)
        self._tokenizer, self._max_tokens = source.tokenizer, source.max_tokens

    def take(self, rows: Int64[np.ndarray, " n"], choices: Int64[np.ndarray, " n"]) -> Arrays:
        """Returns the tokens of each row's texts in the arrangement with this number."""
        counts = self.counts(rows)
        owners = np.repeat(np.arange(len(rows)), counts)
        ends = np.cumsum(counts)
        numbers = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        # No two texts have the same key: a row's texts are in order of a random number each.
        keys = random_draws.draw(_ORDER, (choices[owners] << 31) | numbers)
        places = (self._starts[rows][owners] + numbers)[np.lexsort((keys, owners))]
        strings = self._get(places)[0].tolist()
        separators = random_draws.choose(_SEPARATOR, choices, np.full(len(rows), len(SEPARATORS)))
        joined = [
            SEPARATORS[separator].join(strings[end - count : end])
            for separator, end, count in zip(separators.tolist(), ends.tolist(), counts.tolist(), strict=True)
        ]
        return (self._tokenizer.encode(joined, self._max_tokens),)


def _to_numpy(strings: pa.Array) -> np.ndarray:
    return np.array(strings.to_pylist(), _STRINGS)
