"""Tokenizers: from texts to rows of token ids.

Promises: the same options and texts give the same ids, on any machine and after saving and loading. Every row ends with
the end token, even if its text was truncated ("sticky"), and is padded with end tokens: the public LiT text towers,
which read the last position, were trained that way. Token 0 pads (for models from elsewhere), 1 ends, 2 is the unknown
piece, as in T5's vocabularies.

A kind may have its own special tokens and padding; then its module says so.

Does not: detokenise, or read pickles. Lower-casing is Python's, over all of Unicode; big_vision
lower-cases only ASCII.

Source: big_vision, pp/ops_text.py (`tokenize` with lower=True, eos="sticky", pad_value=1).
"""

import abc
import functools
import hashlib
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int32

from lit_precompute.towers.tokenizers.pieces import Pieces, assemble

# As in T5's vocabularies, so that public models and ours agree.
PAD, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3
FORMAT_VERSION = 1
DESCRIPTION_NAME = "tokenizer.json"
# Texts encoded at a time: bounds the memory of their Python lists of pieces to about 100 MB.
_CHUNK_TEXTS = 65_536
# Fields of a saved tokenizer that do not decide what the pieces of a text are.
_OF_ROWS = ("format_version", "special_tokens")
Field = TypeVar("Field")


class Vocabulary(NamedTuple):
    """What a text tower must know of its tokens.

    Attributes:
      size: one more than the largest id.
      end_id: the id that ends a text.
      pad_id: the id of nothing but padding; None where rows are padded by end tokens, which no tower masks.
    """

    size: int
    end_id: int
    pad_id: int | None = None


class Tokenizer(abc.ABC):
    """Turns texts into rows of ids.

    Attributes:
      unit: what the vocabulary consists of, as a plural, for messages.
      vocabulary_size: one more than the largest id.
      end_id: the id that ends a text, and pads a row where `pad_id` is None.
      pad_id: the id of nothing but padding, or None.
      lower_case: whether texts are lower-cased first.
    """

    unit: ClassVar[str]
    vocabulary_size: int
    end_id: int
    pad_id: int | None = None
    lower_case: bool

    @property
    def vocabulary(self) -> Vocabulary:
        """What a text tower must know of the tokens."""
        return Vocabulary(self.vocabulary_size, self.end_id, self.pad_id)

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
        """Returns each text's pieces, then at least one end token; an empty text has only end tokens.

        Raises:
          ValueError: `length` is below 2 (one piece and the end token).
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
          ValueError: `length` is below 2 (one piece and the end token).
        """
        if length < 2:
            raise ValueError(f"length must be >= 2 (one piece and the end token), got {length}")
        return assemble(pieces, length, first=(), last=(self.end_id,), padding=self.end_id)

    @abc.abstractmethod
    def to_ids(self, texts: list[str]) -> list[list[int]]:
        """Returns each text's ids, not truncated and without the end token."""

    @abc.abstractmethod
    def save(self, directory: str) -> None:
        """Writes plain files that `load_tokenizer` reads; creates the directory if it is missing."""


def write_description(directory: str, **fields: Any) -> pathlib.Path:
    """Writes the description of a directory's tokenizer; creates the directory and returns it."""
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"format_version": FORMAT_VERSION, **fields}, ensure_ascii=False, indent=1)
    (folder / DESCRIPTION_NAME).write_text(content + "\n", encoding="utf-8")
    return folder


def read_field(fields: Mapping[str, Any], name: str, kind: type[Field], description: pathlib.Path) -> Field:
    """Returns a field of a description.

    Raises:
      ValueError: it is missing, or of another type.
    """
    if not isinstance(value := fields.get(name), kind):
        raise ValueError(f"{description}: {name} must be of type {kind.__name__}, got {value!r}")
    return value
