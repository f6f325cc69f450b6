"""Trains a SentencePiece model on texts.

Promises: the same texts in the same order give the same model on any machine; memory is bounded by a sample of the
texts. Every text is trained on, however long: SentencePiece itself skips those over 4,192 bytes.
"""

import io
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence

import sentencepiece

from lit_precompute.towers.tokenizers.tokenizer import END, PAD, UNKNOWN

# SentencePiece sums in thread order: the model depends on the number of threads, so that is fixed.
_TRAINING_THREADS = 8
# SentencePiece skips longer ones ("sentences", in its words); its log, which says so, is off.
_MAX_TEXT_BYTES = 4_192
# SentencePiece marks unknown characters by this sign while it trains, and skips a text that contains it.
_RESERVED = "\u2585"
# More texts than this are sampled (evenly, from a fixed seed): the pieces hardly change, but memory is bounded.
_TRAINING_TEXTS = 2_000_000


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
