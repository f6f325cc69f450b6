"""Tokenizers: from texts to rows of token ids.

Promises: the same options and texts give the same ids, on any machine and after saving and loading. Every row is the
tokenizer's first special tokens, the text's pieces, its last special tokens, and padding on the right; a long text
loses pieces, never special tokens.

By default a row is as the paper's text ViT had it: pieces, the end token even if the text was cut ("sticky"), and end
tokens as padding, which nothing masks: the public LiT text towers, which read the last position, were trained that way.
Trained vocabularies have T5's special ids: 0 pads (for models from elsewhere), 1 ends, 2 is the unknown piece.

Does not: detokenise, or read pickles. Lower-casing is Python's, over all of Unicode; big_vision lower-cases only ASCII.

Source: big_vision, pp/ops_text.py (`tokenize` with lower=True, eos="sticky", pad_value=1).
"""

import abc
import itertools
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int32, Int64

# As in T5's vocabularies, so that public models and ours agree.
PAD, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3
# Texts encoded at a time: bounds the memory of their lists of pieces to some 50 MB.
_CHUNK_TEXTS = 8_192


class Vocabulary(NamedTuple):
    """What a text tower must know of a tokenizer's ids.

    Attributes:
      size: one more than the largest id.
      end_id: the token that ends a text.
      pad_id: the token that only pads, and that towers mask; None: rows are padded by tokens that nothing masks.
    """

    size: int
    end_id: int
    pad_id: int | None = None


class SpecialTokens(NamedTuple):
    """The ids around a text's pieces.

    Attributes:
      first: before the pieces.
      last: after the pieces, also of a text that is cut.
      padding: fills the rest of the row.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    padding: int


class Tokenizer(abc.ABC):
    """Turns texts into rows of ids.

    Attributes:
      unit: what the vocabulary consists of, as a plural, for messages.
      vocabulary_size: one more than the largest id.
      end_id: the id that ends a text.
      pad_id: the id that only pads; None: rows are padded by end tokens, or by another piece that texts have too.
      lower_case: whether texts are lower-cased first; None: the tokenizer's own normaliser decides, not the recipe.
    """

    unit: ClassVar[str]
    vocabulary_size: int
    end_id: int
    pad_id: int | None = None
    lower_case: bool | None

    @property
    def vocabulary(self) -> Vocabulary:
        """What a text tower must know of the ids."""
        return Vocabulary(self.vocabulary_size, self.end_id, self.pad_id)

    @property
    def special_tokens(self) -> SpecialTokens:
        """The ids around each text's pieces; by default one end token, and end tokens as padding."""
        return SpecialTokens((), (self.end_id,), self.end_id)

    def max_pieces(self, length: int) -> int:
        """Returns how many of a text's pieces a row of this length holds.

        Raises:
          ValueError: it holds none.
        """
        first, last, _ = self.special_tokens
        room = length - len(first) - len(last)
        if room < 1:
            raise ValueError(
                f"length must be >= {length - room + 1} (one piece and {length - room} special "
                f"token{'' if length - room == 1 else 's'}), got {length}"
            )
        return room

    def encode(self, texts: Sequence[str], length: int) -> Int32[np.ndarray, "n {length}"]:
        """Returns each text's pieces between the special tokens; an empty text has only these.

        Raises:
          ValueError: `length` has no room for a piece.
        """
        room = self.max_pieces(length)
        rows = np.full((len(texts), length), self.special_tokens.padding, np.int32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            pieces = self.to_ids(self._cased(texts[start : start + _CHUNK_TEXTS]))
            _fill(rows[start : start + len(pieces)], pieces, room, self.special_tokens)
        return rows

    def count_pieces(self, texts: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Returns how many pieces each text has, before it is cut and without special tokens."""
        counts = np.zeros(len(texts), np.int64)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            pieces = self.to_ids(self._cased(texts[start : start + _CHUNK_TEXTS]))
            counts[start : start + len(pieces)] = np.fromiter(map(len, pieces), np.int64, len(pieces))
        return counts

    def _cased(self, texts: Sequence[str]) -> list[str]:
        return [text.lower() for text in texts] if self.lower_case else list(texts)

    @abc.abstractmethod
    def to_ids(self, texts: list[str]) -> list[list[int]]:
        """Returns each text's ids, not cut and without special tokens."""

    @abc.abstractmethod
    def save(self, directory: str) -> None:
        """Writes plain files that `load_tokenizer` reads; creates the directory if it is missing."""


def _fill(rows: np.ndarray, pieces: list[list[int]], room: int, special: SpecialTokens) -> None:
    """Writes the special tokens, and of each list at most `room` ids, into its row."""
    counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ids = np.fromiter(itertools.chain.from_iterable(pieces), np.int32, int(counts.sum()))
    row_of_id = np.repeat(np.arange(len(pieces)), counts)
    position = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = position < room
    start = len(special.first)
    rows[:, :start] = special.first
    rows[row_of_id[kept], start + position[kept]] = ids[kept]
    ends = start + np.minimum(counts, room)
    for offset, token in enumerate(special.last):
        rows[np.arange(len(rows)), ends + offset] = token
