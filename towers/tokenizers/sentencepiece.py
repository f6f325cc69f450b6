"""SentencePiece: pieces of words by a unigram model, given or trained on the texts.

Promises: the same texts in the same order give the same model on any machine; memory is bounded by a sample of the
texts. Every text is trained on, however long: SentencePiece itself skips those over 4,192 bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import pathlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import sentencepiece

from lit_precompute.towers.tokenizers.options import TokenizerOptions
from lit_precompute.towers.tokenizers.tokenizer import END, PAD, UNKNOWN, Tokenizer, read_field, write_description

_MODEL = "sentencepiece.model"
# SentencePiece sums in thread order: the model depends on the number of threads, so that is fixed.
_TRAINING_THREADS = 8
# SentencePiece skips longer ones ("sentences", in its words); its log, which says so, is off.
_MAX_TEXT_BYTES = 4_192
# SentencePiece marks unknown characters by this sign while it trains, and skips a text that contains it.
_RESERVED = "\u2585"
# More texts than this are sampled (evenly, from a fixed seed): the pieces hardly change, but memory is bounded.
_TRAINING_TEXTS = 2_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentencePieceOptions(TokenizerOptions):
    """Pieces of words.

    Attributes:
      kind: SentencePiece's unigram model.
      path: a SentencePiece `.model` file; None trains one on the captions.
      vocabulary_size: the most ids to train, including the three special ones; a given file has its own size.
    """

    kind: Literal["sentencepiece"] = "sentencepiece"


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model, from the content of its `.model` file."""

    unit = "pieces"

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

    def to_ids(self, texts: list[str]) -> list[list[int]]:
        return self._processor.encode(texts, out_type=int, num_threads=-1)

    def save(self, directory: str) -> None:
        digest = hashlib.sha256(self._model).hexdigest()
        folder = write_description(
            directory, kind="sentencepiece", lower_case=self.lower_case, model=_MODEL, model_sha256=digest
        )
        (folder / _MODEL).write_bytes(self._model)


def make_tokenizer(options: SentencePieceOptions, texts: Iterable[str], *, lower_case: bool) -> Tokenizer:
    """Returns the tokenizer of a file, or one trained on `texts`, which are already lower-cased; see `registry`."""
    if options.path is None:
        return SentencePieceTokenizer(train_pieces(texts, options.vocabulary_size), lower_case=lower_case)
    path = options.file()
    return SentencePieceTokenizer(path.read_bytes(), lower_case=lower_case, where=str(path))


def load_tokenizer(fields: Mapping[str, Any], description: pathlib.Path) -> Tokenizer:
    """Returns the tokenizer that was saved beside its description."""
    if fields.get("model") != _MODEL:  # a name from someone else could be of any file of this machine
        raise ValueError(f"{description}: model must be {_MODEL!r}, got {fields.get('model')!r}")
    path = description.parent / _MODEL
    if not path.is_file():
        raise ValueError(f"{description}: its model {path} is missing")
    model = path.read_bytes()
    digest = hashlib.sha256(model).hexdigest()
    expected = read_field(fields, "model_sha256", str, description)
    if digest != expected:
        raise ValueError(f"{path}: SHA-256 must be {expected} as saved, got {digest}")
    lower_case = read_field(fields, "lower_case", bool, description)
    return SentencePieceTokenizer(model, lower_case=lower_case, where=str(path))


def train_pieces(texts: Iterable[str], vocabulary_size: int) -> bytes:
    """Returns a unigram model with T5's special ids, as the content of a `.model` file.

    Raises:
      ValueError: no text contains a word, or the vocabulary is too small for the texts' characters.
    """
    parts = (part for text in texts for part in cut_text(text.replace(_RESERVED, " "), _MAX_TEXT_BYTES))
    sample = sample_texts((part for part in parts if part.strip()), _TRAINING_TEXTS)
    if not _has_letters(sample):
        raise ValueError("a tokenizer cannot be trained: no text contains a word")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            num_threads=_TRAINING_THREADS,
            minloglevel=2,
            pad_id=PAD,
            eos_id=END,
            unk_id=UNKNOWN,
            bos_id=-1,  # none
        )
    except RuntimeError as error:
        raise ValueError(
            f"a SentencePiece vocabulary of {vocabulary_size} cannot be trained on {len(sample):,} texts: {error}; "
            "if their characters alone do not fit, choose a larger tokenizer.vocabulary_size"
        ) from error
    return model.getvalue()


def _has_letters(texts: Sequence[str]) -> bool:
    """Returns whether anything is left once SentencePiece has removed control characters and joined white space."""
    normalizer = sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc")
    return any(normalizer.normalize(text).strip() for text in texts)


def cut_text(text: str, max_bytes: int) -> Iterator[str]:
    """Yields a text, or if its UTF-8 is longer its parts of at most `max_bytes`, cut at white space where there is any.

    SentencePiece learns pieces of words, so nothing is lost between two words.
    """
    data = text.encode()
    start = 0
    while len(data) - start > max_bytes:
        stop = start + max_bytes
        space = max(data.rfind(sign, start + 1, stop + 1) for sign in (b" ", b"\n", b"\t"))
        if space > start:
            stop = space
        else:
            while data[stop] & 0xC0 == 0x80:  # within a character
                stop -= 1
        yield data[start:stop].decode()
        start = stop
    yield data[start:].decode()


def sample_texts(texts: Iterator[str], limit: int) -> list[str]:
    """Returns all texts, or a uniform sample of `limit` (by reservoir), always the same."""
    sample = list(itertools.islice(texts, limit))
    draw = random.Random(0)
    for number, text in enumerate(texts, start=limit + 1):
        place = draw.randrange(number)
        if place < limit:
            sample[place] = text
    return sample
