"""Vocabularies trained on texts: the most frequent words, or SentencePiece's unigram pieces.

Promises: the same texts in the same order give the same vocabulary on any machine; memory holds the different
words, or a sample of the texts, however many texts there are.
Does not: change the texts' case, nor read or write files.
"""

import collections
import io
import itertools
import random
import string
from collections.abc import Iterable, Iterator

import sentencepiece

# As in T5's vocabularies, so that public models and ours read alike.
PAD, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3
# SentencePiece sums in thread order: another number of threads is another model, so it does not follow the machine.
_TRAINING_THREADS = 8
# More texts than this are sampled (evenly, from a fixed seed): the pieces hardly change then, the memory would.
_TRAINING_TEXTS = 2_000_000

# Signs that stand between words become spaces; all other ASCII punctuation is dropped, as in canonical prompts.
_SEPARATORS = "_,;:/|"
_CLEANING = {ord(sign): None for sign in string.punctuation} | {ord(sign): " " for sign in _SEPARATORS}


def split_words(text: str) -> list[str]:
    """Returns the words of a text: ASCII punctuation dropped ("t-shirt" is "tshirt"), cut at white space and `_,;:/|`.

    A canonical prompt, which has lost its punctuation already, gives the same words as the text it came from,
    unless only one of `,;:/|` and no space stood between two words.
    """
    return text.translate(_CLEANING).split()


def frequent_words(texts: Iterable[str], vocabulary_size: int) -> list[str]:
    """Returns the most frequent words, equal counts in alphabetical order: at most `vocabulary_size` ids in all.

    Raises:
      ValueError: no text holds a word.
    """
    counts = collections.Counter(itertools.chain.from_iterable(map(split_words, texts)))
    if not counts:
        raise ValueError("a tokenizer cannot be trained: no text holds a word")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[: vocabulary_size - NUM_SPECIAL]


def train_pieces(texts: Iterable[str], vocabulary_size: int) -> bytes:
    """Returns a unigram model with T5's special ids, as the content of a `.model` file.

    Raises:
      ValueError: no text holds a word, or the vocabulary is too small for the texts' characters.
    """
    sample = _sample((text for text in texts if text.strip()), _TRAINING_TEXTS)
    if not sample:
        raise ValueError("a tokenizer cannot be trained: no text holds a word")
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
            "a larger tokenizer.vocabulary_size helps where their characters alone do not fit"
        ) from error
    return model.getvalue()


def _sample(texts: Iterator[str], limit: int) -> list[str]:
    """Returns all texts, or `limit` of them drawn evenly (reservoir), always the same ones."""
    sample = list(itertools.islice(texts, limit))
    draw = random.Random(0)
    for number, text in enumerate(texts, start=limit + 1):
        place = draw.randrange(number)
        if place < limit:
            sample[place] = text
    return sample
