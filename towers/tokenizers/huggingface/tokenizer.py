"""A tokenizer.json or BERT's vocab.txt as a `Tokenizer`.

Promises: ids are those of transformers for the same files, cut and padded on the right. The file's own normaliser
decides about case: a recipe's `text.lower_case` changes nothing. Truncation and padding that a file has of its own do
not count. A file from anyone is read without running code from it.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import tokenizers

from lit_precompute.schemas.json_files import parse_json_object
from lit_precompute.towers.tokenizers.finding import find_files
from lit_precompute.towers.tokenizers.huggingface.backend import explained, read_backend
from lit_precompute.towers.tokenizers.huggingface.bert_vocabulary import make_backend
from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions
from lit_precompute.towers.tokenizers.huggingface.settings import apply_settings, padding_token, read_settings
from lit_precompute.towers.tokenizers.huggingface.templates import choose_tokens
from lit_precompute.towers.tokenizers.saving import read_field, read_model, write_with_model
from lit_precompute.towers.tokenizers.tokenizer import SpecialTokens, Tokenizer, Vocabulary

_NAMES = ("tokenizer.json", "vocab.txt")
_MODEL = "huggingface.json"
_ADVICE = "give a tokenizer.json of Hugging Face's library"
# Twice the largest that is known to be published.
_MAX_BYTES = 1 << 26
# Sixteen times as many as the largest vocabulary has; a table of embeddings for more could not be made anyway.
_MAX_IDS = 1 << 24


class HuggingFaceTokenizer(Tokenizer):
    """Word pieces, unigram pieces or byte pairs, as a tokenizer.json describes them."""

    unit = "pieces"
    lower_case = None

    def __init__(
        self, backend: tokenizers.Tokenizer, special_tokens: SpecialTokens, vocabulary: Vocabulary, *, where: str
    ):
        """Raises ValueError, naming `where`: an id is outside the vocabulary."""
        self._backend, self._where, self._special_tokens = backend, where, special_tokens
        self.vocabulary_size, self.end_id, self.pad_id = vocabulary
        first, last, padding = special_tokens
        for number in (*first, *last, padding, self.end_id, *(() if self.pad_id is None else (self.pad_id,))):
            if not 0 <= number < self.vocabulary_size:
                raise ValueError(f"{where}: a special token must be in [0, {self.vocabulary_size}), got {number}")

    @property
    def special_tokens(self) -> SpecialTokens:
        """The ids around each text's pieces."""
        return self._special_tokens

    def to_ids(self, texts: list[str]) -> list[list[int]]:
        with explained(self._where):
            return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]

    def save(self, directory: str) -> None:
        special = {**self._special_tokens._asdict(), "end_id": self.end_id, "pad_id": self.pad_id}
        write_with_model(directory, _MODEL, self._backend.to_str().encode(), kind="huggingface", special_tokens=special)


def make_tokenizer(options: HuggingFaceOptions, texts: Iterable[str], *, lower_case: bool) -> Tokenizer:
    """Returns the tokenizer of a file; neither the texts nor the recipe's `lower_case` matter."""
    del texts, lower_case
    if options.path is None:
        raise ValueError(
            "tokenizer.path must be given for tokenizer.kind 'huggingface', which trains no vocabulary: a "
            "tokenizer.json, a vocab.txt, a folder with one of them, or a repository (google-bert/bert-base-uncased)"
        )
    files = find_files(options.path, _NAMES, "a SentencePiece .model is read by --tokenizer.kind sentencepiece")
    where = str(files.vocabulary)
    settings = read_settings(files.beside)
    content = _read_text(files.vocabulary)
    baked = None
    if files.vocabulary.suffix == ".txt":
        backend = make_backend(content, settings, where)
    else:
        fields = parse_json_object(content.encode(), where, _ADVICE)
        if "format_version" in fields:
            raise ValueError(f"{where}: describes a tokenizer that lit-precompute saved; {_ADVICE}")
        backend = read_backend(content, where)
        baked = fields.get("padding")
    apply_settings(backend, settings, options.lower_case, where)
    pad = padding_token(settings, baked if isinstance(baked, dict) else None, backend)
    special, end_id, pad_id = choose_tokens(backend, settings, pad, options.special_tokens, where)
    return HuggingFaceTokenizer(backend, special, Vocabulary(_num_ids(backend, where), end_id, pad_id), where=where)


def load_tokenizer(fields: Mapping[str, Any], description: pathlib.Path) -> Tokenizer:
    """Returns the tokenizer that was saved beside its description."""
    content = read_model(fields, _MODEL, description)
    where = str(description.with_name(_MODEL))
    parse_json_object(content, where, "copy the tokenizer again from where it came from")
    backend = read_backend(content.decode(), where)
    special = read_field(fields, "special_tokens", dict, description)
    first, last = (tuple(read_field(special, name, list, description)) for name in ("first", "last"))
    padding, end_id = (read_field(special, name, int, description) for name in ("padding", "end_id"))
    pad_id = special.get("pad_id")
    if any(type(number) is not int for number in (*first, *last, padding, end_id, 0 if pad_id is None else pad_id)):
        raise ValueError(f"{description}: first, last and pad_id must be ids, got {first}, {last} and {pad_id!r}")
    vocabulary = Vocabulary(_num_ids(backend, where), end_id, pad_id)
    return HuggingFaceTokenizer(backend, SpecialTokens(first, last, padding), vocabulary, where=where)


def _read_text(path: pathlib.Path) -> str:
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise ValueError(f"{path}: must have at most {_MAX_BYTES:,} bytes, got {size:,}; {_ADVICE}")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: must be UTF-8 text; {_ADVICE}, or BERT's vocab.txt") from error


def _num_ids(backend: tokenizers.Tokenizer, where: str) -> int:
    """Returns one more than the largest id; ids may have gaps."""
    size = max(backend.get_vocab().values(), default=-1) + 1
    if not 1 <= size <= _MAX_IDS:
        raise ValueError(f"{where}: ids must be in [0, {_MAX_IDS:,}), the largest is {size - 1:,}; {_ADVICE}")
    return size
