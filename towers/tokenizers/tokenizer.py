"""Tokenizers: texts in, rows of token ids out; SentencePiece or whole words, given or trained on the captions.

Promises: the same options and texts give the same ids, on any machine and after `save` and `load_tokenizer`.
Every row ends with the end token, also where the text was cut ("sticky"), and is padded with end tokens: that is
how the public LiT text towers were trained, which read the last position.
Token 0 pads (it is kept for other people's models), 1 ends, 2 is the unknown piece, as in T5's vocabularies.

Does not: detokenise, add a token for the beginning, or read pickles. Lower-casing is Python's, over all of Unicode;
big_vision's lowers ASCII alone.

Source: big_vision, pp/ops_text.py (`tokenize` with lower=True, eos="sticky", pad_value=1).
"""

import abc
import collections
import dataclasses
import hashlib
import itertools
import json
import logging
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import sentencepiece

from lit_precompute.towers.tokenizers.vocabularies import (
    END,
    NUM_SPECIAL,
    UNKNOWN,
    frequent_words,
    split_words,
    train_pieces,
)

FORMAT_VERSION = 1
_DESCRIPTION = "tokenizer.json"
_MODEL = "sentencepiece.model"
# Texts encoded at a time: their Python lists of pieces stay near 100 MB.
_CHUNK_TEXTS = 65_536

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerOptions:
    """Which tokenizer.

    Attributes:
      kind: "sentencepiece" (pieces of words, unigram) or "words" (whole words; for small, closed vocabularies).
      path: a SentencePiece `.model` file, or for "words" a text file of one word per line; None trains on the captions.
      vocabulary_size: the most ids to train, the three special ones included; a given file has its own size.
    """

    kind: Literal["sentencepiece", "words"] = "sentencepiece"
    path: str | None = None
    vocabulary_size: int = 32_000

    def __post_init__(self):
        if self.kind not in ("sentencepiece", "words"):
            raise ValueError(f"tokenizer.kind must be 'sentencepiece' or 'words', got {self.kind!r}")
        if self.vocabulary_size < NUM_SPECIAL + 1:
            raise ValueError(f"tokenizer.vocabulary_size must be >= 4, got {self.vocabulary_size}")


class Tokenizer(abc.ABC):
    """Texts to rows of ids. `vocabulary_size` is one more than the largest id."""

    vocabulary_size: int
    end_id: int
    lower_case: bool

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Returns int32 [len(texts), length]: pieces, then at least one end token; an empty text is end tokens alone.

        Raises:
          ValueError: `length` is below 2: one piece and the end.
        """
        if length < 2:
            raise ValueError(f"length must be >= 2 (one piece and the end token), got {length}")
        rows = np.full((len(texts), length), self.end_id, np.int32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            chunk = texts[start : start + _CHUNK_TEXTS]
            pieces = self._pieces([text.lower() for text in chunk] if self.lower_case else list(chunk))
            _fill(rows[start : start + len(chunk)], pieces)
        return rows

    @abc.abstractmethod
    def _pieces(self, texts: list[str]) -> list[list[int]]:
        """Returns each text's ids, uncut and without the end."""

    @abc.abstractmethod
    def save(self, directory: str) -> None:
        """Writes plain files that `load_tokenizer` reads; makes the directory where it is missing."""


def _fill(rows: np.ndarray, pieces: list[list[int]]) -> None:
    """Writes each list's first ids into its row and leaves the last position, which holds the end token."""
    counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ids = np.fromiter(itertools.chain.from_iterable(pieces), np.int32, int(counts.sum()))
    row_of_id = np.repeat(np.arange(len(pieces)), counts)
    position = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = position < rows.shape[1] - 1
    rows[row_of_id[kept], position[kept]] = ids[kept]


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model; `model` is the content of its `.model` file."""

    def __init__(self, model: bytes, *, lower_case: bool = True, where: str = "the given bytes"):
        """Raises ValueError, naming `where`: not a SentencePiece model, or one without an end token."""
        if not model:
            raise ValueError(f"{where}: not a SentencePiece model: it is empty")
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(
                f"{where}: not a SentencePiece model ({len(model):,} bytes); give a .model file"
            ) from error
        self._model = model
        self.lower_case = lower_case
        self.vocabulary_size = self._processor.get_piece_size()
        self.end_id = self._processor.eos_id()
        if self.end_id < 0:
            raise ValueError(
                f"{where}: the SentencePiece model has no end token (eos_id is -1); train one with eos_id=1"
            )

    def _pieces(self, texts: list[str]) -> list[list[int]]:
        return self._processor.encode(texts, out_type=int, num_threads=-1)

    def save(self, directory: str) -> None:
        digest = hashlib.sha256(self._model).hexdigest()
        folder = _write_description(
            directory, kind="sentencepiece", lower_case=self.lower_case, model=_MODEL, model_sha256=digest
        )
        (folder / _MODEL).write_bytes(self._model)


class WordTokenizer(Tokenizer):
    """Whole words. `words` holds the vocabulary after the three special ids, most frequent first."""

    def __init__(self, words: Sequence[str], *, lower_case: bool = True, where: str = "the given words"):
        """Raises ValueError, naming `where`: no word, or one that stands twice."""
        if not words:
            raise ValueError(f"{where}: a vocabulary needs at least one word")
        self._words = list(words)
        self._ids = {word: number for number, word in enumerate(words, start=NUM_SPECIAL)}
        if len(self._ids) != len(self._words):
            word, count = collections.Counter(words).most_common(1)[0]
            raise ValueError(f"{where}: words must be distinct, {word!r} stands {count} times")
        self.lower_case = lower_case
        self.vocabulary_size = NUM_SPECIAL + len(self._words)
        self.end_id = END

    def _pieces(self, texts: list[str]) -> list[list[int]]:
        ids = self._ids
        return [[ids.get(word, UNKNOWN) for word in split_words(text)] for text in texts]

    def save(self, directory: str) -> None:
        _write_description(directory, kind="words", lower_case=self.lower_case, words=self._words)


def train_tokenizer(options: TokenizerOptions, texts: Iterable[str], *, lower_case: bool = True) -> Tokenizer:
    """Returns the tokenizer that `options` ask for: read from `options.path`, or trained on `texts`, each read once.

    Raises:
      ValueError: the file is missing or is no vocabulary of that kind; no text holds a word; the vocabulary is too
        small to hold the texts' characters.
    """
    if options.path is not None:
        return _read_given(options, lower_case)
    cased = (text.lower() for text in texts) if lower_case else iter(texts)
    if options.kind == "words":
        tokenizer: Tokenizer = WordTokenizer(frequent_words(cased, options.vocabulary_size), lower_case=lower_case)
    else:
        tokenizer = SentencePieceTokenizer(train_pieces(cased, options.vocabulary_size), lower_case=lower_case)
    if tokenizer.vocabulary_size < options.vocabulary_size:
        _logger.warning(
            "tokenizer: the texts hold %s different %s, so the vocabulary is that large and not %s",
            f"{tokenizer.vocabulary_size:,}",
            "words" if options.kind == "words" else "pieces",
            f"{options.vocabulary_size:,}",
        )
    return tokenizer


def _read_given(options: TokenizerOptions, lower_case: bool) -> Tokenizer:
    path = pathlib.Path(str(options.path))
    if not path.is_file():
        raise ValueError(f"tokenizer.path {options.path!r}: no such file; give a {options.kind} vocabulary, or no path")
    if options.kind == "sentencepiece":
        return SentencePieceTokenizer(path.read_bytes(), lower_case=lower_case, where=str(path))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a word list must be UTF-8 text, one word per line") from error
    return WordTokenizer([line.strip() for line in lines if line.strip()], lower_case=lower_case, where=str(path))


def _write_description(directory: str, **fields: Any) -> pathlib.Path:
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"format_version": FORMAT_VERSION, **fields}, ensure_ascii=False, indent=1)
    (folder / _DESCRIPTION).write_text(content + "\n", encoding="utf-8")
    return folder


def load_tokenizer(directory: str) -> Tokenizer:
    """Returns the tokenizer that `save` wrote there.

    Raises:
      ValueError: no tokenizer there, a newer format, or a model that is not the one that was saved.
    """
    path = pathlib.Path(directory) / _DESCRIPTION
    if not path.is_file():
        raise ValueError(f"{directory}: no {_DESCRIPTION}; this is not a saved tokenizer")
    fields = json.loads(path.read_text(encoding="utf-8"))
    version = fields.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format_version must be {FORMAT_VERSION}, got {version!r}; update lit-precompute")
    readers: dict[str, Callable[[dict[str, Any], pathlib.Path], Tokenizer]] = {
        "sentencepiece": _load_pieces,
        "words": lambda fields, path: WordTokenizer(fields["words"], lower_case=fields["lower_case"], where=str(path)),
    }
    if fields.get("kind") not in readers:
        raise ValueError(f"{path}: kind must be one of {sorted(readers)}, got {fields.get('kind')!r}")
    return readers[fields["kind"]](fields, path)


def _load_pieces(fields: dict[str, Any], description: pathlib.Path) -> Tokenizer:
    path = description.parent / fields["model"]
    if not path.is_file():
        raise ValueError(f"{description}: its model {path} is missing")
    model = path.read_bytes()
    digest = hashlib.sha256(model).hexdigest()
    if digest != fields["model_sha256"]:
        raise ValueError(f"{path}: SHA-256 must be {fields['model_sha256']} as saved, got {digest}")
    return SentencePieceTokenizer(model, lower_case=fields["lower_case"], where=str(path))
