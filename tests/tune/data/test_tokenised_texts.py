"""Captions as a source of texts: the same tokens whether they are kept or read block by block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_source import ReadTexts
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts, TokenRows
from tests.tune.data.fakes import FakeDataset

TOKENIZER = WordTokenizer([f"w{number}" for number in range(40)])
LISTS = st.lists(st.lists(st.sampled_from(["", "  ", "\u2003\t", "w1", "w2 w3", " w4", "w5"]), max_size=4), max_size=12)


def read(texts: list[list[str]]) -> tuple[TokenisedTexts, ReadTexts]:
    """Returns a source, and the texts that it reads of a block of these rows."""
    source = TokenisedTexts(TOKENIZER, TextOptions(max_tokens=4))
    block = FakeDataset([len(texts)], texts).read_block(0, source.columns)
    return source, source.read(block, np.arange(len(texts)))


@settings(max_examples=50)
@given(texts=LISTS, data=st.data())
def test_kept_texts_are_those_that_were_read(texts: list[list[str]], data):
    texts = [*texts, ["w6", "w7", "w8"]]
    source, fresh = read(texts)
    rows = np.arange(len(texts))
    counts = fresh.counts(rows)
    assert counts.tolist() == [sum(bool(text.strip()) for text in row) for row in texts]
    kept = source.kept(counts, source.to_kept(fresh))
    np.testing.assert_array_equal(kept.all()[0], fresh.all()[0])
    asked = np.array(data.draw(st.lists(st.sampled_from(np.flatnonzero(counts).tolist()), max_size=9)), np.int64)
    choices = np.array([data.draw(st.integers(0, counts[row] - 1)) for row in asked], np.int64)
    shown = [[text for text in row if text.strip()] for row in texts]
    expected = TOKENIZER.encode([shown[row][choice] for row, choice in zip(asked, choices, strict=True)], 4)
    for each in (fresh, kept):
        (tokens,) = each.take(asked, choices)
        assert tokens.dtype == np.int32
        np.testing.assert_array_equal(tokens, expected)


@pytest.mark.parametrize(("num_words", "expected"), [(2**16 - 3, np.uint16), (2**16 - 2, np.int32)])
def test_keeps_ids_in_the_smallest_type_that_holds_them(num_words: int, expected: type):
    rows = TokenRows(WordTokenizer([f"w{number}" for number in range(num_words)]), 4)
    tokens = np.full((1, 4), num_words + 2, np.int32)
    (kept,) = rows.to_kept(ReadTexts(np.array([1]), lambda chosen: (tokens,)))
    assert kept.dtype == expected
    np.testing.assert_array_equal(rows.kept(np.array([1]), (kept,)).all()[0], np.full((1, 4), num_words + 2))
    assert rows.bytes_per_kept == kept.nbytes
