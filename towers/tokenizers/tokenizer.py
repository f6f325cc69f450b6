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
import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int32

# As in T5's vocabularies, so that public models and ours agree.
PAD, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3
FORMAT_VERSION = 1
DESCRIPTION_NAME = "tokenizer.json"
# Texts encoded at a time: bounds the memory of their Python lists of pieces to about 100 MB.
_CHUNK_TEXTS = 65_536
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

    def encode(self, texts: Sequence[str], length: int) -> Int32[np.ndarray, "n {length}"]:
        """Returns each text's pieces, then at least one end token; an empty text has only end tokens.

        Raises:
          ValueError: `length` is below 2 (one piece and the end token).
        """
        if length < 2:
            raise ValueError(f"length must be >= 2 (one piece and the end token), got {length}")
        rows = np.full((len(texts), length), self.end_id, np.int32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            chunk = texts[start : start + _CHUNK_TEXTS]
            pieces = self.to_ids([text.lower() for text in chunk] if self.lower_case else list(chunk))
            _fill(rows[start : start + len(chunk)], pieces)
        return rows

    @abc.abstractmethod
    def to_ids(self, texts: list[str]) -> list[list[int]]:
        """Returns each text's ids, not truncated and without the end token."""

    @abc.abstractmethod
    def save(self, directory: str) -> None:
        """Writes plain files that `load_tokenizer` reads; creates the directory if it is missing."""


def _fill(rows: np.ndarray, pieces: list[list[int]]) -> None:
    """Writes each list's first ids into its row, except for the last position, which has the end token."""
    counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ids = np.fromiter(itertools.chain.from_iterable(pieces), np.int32, int(counts.sum()))
    row_of_id = np.repeat(np.arange(len(pieces)), counts)
    position = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = position < rows.shape[1] - 1
    rows[row_of_id[kept], position[kept]] = ids[kept]


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
