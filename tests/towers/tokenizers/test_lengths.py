"""How long texts are, and how many are cut: by hand."""

import numpy as np

from lit_precompute.towers.tokenizers import TextLengths, WordOptions, measure_lengths, train_tokenizer


def test_lengths_of_a_hundred_texts():
    """1 to 100 words, in another order: so that each quantile is its own number."""
    texts = [" ".join(["word"] * (1 + 37 * number % 100)) for number in range(100)]
    tokenizer = train_tokenizer(WordOptions(), texts)
    assert measure_lengths(tokenizer, texts, 16) == TextLengths(
        num_texts=100, median=50, percentile_90=90, percentile_99=99, longest=100, max_pieces=15, num_cut=85
    )


def test_one_text_of_no_piece():
    assert TextLengths.of_counts(np.zeros(1, np.int64), 15) == TextLengths(1, 0, 0, 0, 0, 15, 0)


def test_a_text_that_just_fits_is_not_cut():
    tokenizer = train_tokenizer(WordOptions(), ["a b c"])
    assert measure_lengths(tokenizer, ["a b c", "a b c d"], 4).num_cut == 1
    assert tokenizer.encode(["a b c"], 4).tolist() == [[3, 4, 5, 1]]
