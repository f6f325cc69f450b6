"""Whole words, given or the most frequent in the texts; for small, closed vocabularies."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import pathlib
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from lit_precompute.towers.tokenizers.options import TokenizerOptions
from lit_precompute.towers.tokenizers.saving import read_field, write_description
from lit_precompute.towers.tokenizers.tokenizer import END, NUM_SPECIAL, UNKNOWN, Tokenizer

# These signs separate words and become spaces; all other ASCII punctuation is dropped, as in canonical prompts.
_SEPARATORS = "_,;:/|"
_CLEANING = {ord(sign): None for sign in string.punctuation} | {ord(sign): " " for sign in _SEPARATORS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordOptions(TokenizerOptions):
    """Whole words.

    Attributes:
      kind: whole words.
      path: a text file with one word per line; None takes the most frequent words of the captions.
      vocabulary_size: the most ids to take, including the three special ones; a given file has its own size.
    """

    kind: Literal["words"] = "words"


class WordTokenizer(Tokenizer):
    """Whole words; `words` is the vocabulary after the three special ids, the most frequent first."""

    unit = "words"

    def __init__(self, words: Sequence[str], *, lower_case: bool = True, where: str = "the given words"):
        """Raises ValueError, naming `where`: no word, or a duplicate."""
        if not words:
            raise ValueError(f"{where}: a vocabulary needs at least one word")
        self._words = list(words)
        self._ids = {word: number for number, word in enumerate(words, start=NUM_SPECIAL)}
        if len(self._ids) != len(self._words):
            word, count = collections.Counter(words).most_common(1)[0]
            raise ValueError(f"{where}: words must be distinct, {word!r} occurs {count} times")
        self.lower_case = lower_case
        self.vocabulary_size = NUM_SPECIAL + len(self._words)
        self.end_id = END

    def to_ids(self, texts: list[str]) -> list[list[int]]:
        ids = self._ids
        return [[ids.get(word, UNKNOWN) for word in split_words(text)] for text in texts]

    def save(self, directory: str) -> None:
        write_description(directory, kind="words", lower_case=self.lower_case, words=self._words)


def make_tokenizer(options: WordOptions, texts: Iterable[str], *, lower_case: bool) -> Tokenizer:
    """Returns the tokenizer of a file, or of the words of `texts`, which are already lower-cased; see `registry`."""
    if options.path is None:
        return WordTokenizer(frequent_words(texts, options.vocabulary_size), lower_case=lower_case)
    path = options.file()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a word list must be UTF-8 text, one word per line") from error
    return WordTokenizer([line.strip() for line in lines if line.strip()], lower_case=lower_case, where=str(path))


def load_tokenizer(fields: Mapping[str, Any], description: pathlib.Path) -> Tokenizer:
    """Returns the tokenizer that was saved in its description."""
    words = read_field(fields, "words", list, description)
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{description}: words must be a list of words")
    lower_case = read_field(fields, "lower_case", bool, description)
    return WordTokenizer(words, lower_case=lower_case, where=str(description))


def split_words(text: str) -> list[str]:
    """Returns the words of a text, split at white space and `_,;:/|`, without ASCII punctuation ("t-shirt": "tshirt").

    A canonical prompt, which has no punctuation left, gives the same words as the text that it comes from, unless two
    words there were separated by one of `,;:/|` and no space.
    """
    return text.translate(_CLEANING).split()


def frequent_words(texts: Iterable[str], vocabulary_size: int) -> list[str]:
    """Returns the most frequent words, ties in alphabetical order: at most `vocabulary_size` ids in all.

    Raises:
      ValueError: no text contains a word.
    """
    counts = collections.Counter(itertools.chain.from_iterable(map(split_words, texts)))
    if not counts:
        raise ValueError("a tokenizer cannot be trained: no text contains a word")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[: vocabulary_size - NUM_SPECIAL]
