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
import functools
import hashlib
import json
import pathlib
import tempfile
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int32

from lit_precompute.towers.tokenizers.pieces import Pieces, assemble
from lit_precompute.towers.tokenizers.saving import DESCRIPTION_NAME

# As in T5's vocabularies, so that public models and ours agree.
PAD, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3
# Texts encoded at a time: bounds the memory of their lists of pieces to some 50 MB.
_CHUNK_TEXTS = 8_192
# Fields of a saved tokenizer that do not decide what the pieces of a text are.
_OF_ROWS = ("format_version", "special_tokens")


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

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides a text's pieces: equal ones give equal pieces, whatever rows are made of them."""
        digest = hashlib.sha256()
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            for path in sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file()):
                content = path.read_bytes()
                if path.name == DESCRIPTION_NAME:
                    fields = {name: value for name, value in json.loads(content).items() if name not in _OF_ROWS}
                    content = json.dumps(fields, sort_keys=True).encode()
                digest.update(f"{path.relative_to(folder).as_posix()} {len(content)} ".encode() + content)
        return digest.hexdigest()

    def encode(self, texts: Sequence[str], length: int) -> Int32[np.ndarray, "n {length}"]:
        """Returns each text's pieces between the special tokens; an empty text has only these.

        Raises:
          ValueError: `length` has no room for a piece.
        """
        rows = np.empty((len(texts), length), np.int32)
        for start in range(0, len(texts) or 1, _CHUNK_TEXTS):
            chunk = slice(start, start + _CHUNK_TEXTS)
            rows[chunk] = self.assemble(self.pieces(texts[chunk]), length)
        return rows

    def pieces(self, texts: Sequence[str]) -> Pieces:
        """Returns each text's pieces, not cut and without special tokens."""
        return Pieces.of_lists(self.to_ids([text.lower() for text in texts] if self.lower_case else list(texts)))

    def assemble(self, pieces: Pieces, length: int) -> Int32[np.ndarray, "n {length}"]:
        """Returns rows of tokens made of pieces, the same as `encode` makes of the texts.

        Raises:
          ValueError: `length` has no room for a piece.
        """
        self.max_pieces(length)
        return assemble(pieces, length, **self.special_tokens._asdict())

    def max_pieces(self, length: int) -> int:
        """Returns how many of a text's pieces a row of this length holds.

        Raises:
          ValueError: it holds none.
        """
        num_special = len(self.special_tokens.first) + len(self.special_tokens.last)
        if length <= num_special:
            raise ValueError(
                f"length must be >= {num_special + 1} (one piece and {num_special} special "
                f"token{'' if num_special == 1 else 's'}), got {length}"
            )
        return length - num_special

    @abc.abstractmethod
    def to_ids(self, texts: list[str]) -> list[list[int]]:
        """Returns each text's ids, not cut and without special tokens."""

    @abc.abstractmethod
    def save(self, directory: str) -> None:
        """Writes plain files that `load_tokenizer` reads; creates the directory if it is missing."""
