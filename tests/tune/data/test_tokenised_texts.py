"""Captions as a source of texts: draws, and the same tokens whether they are kept or read block by block."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data.text_source import KeptTexts, draw_choices
from lit_precompute.tune.data.texts import TextOptions
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts, TokenRows
from tests.tune.data.fakes import FakeDataset

TOKENIZER = WordTokenizer([f"w{number}" for number in range(40)])
LISTS = st.lists(st.lists(st.sampled_from(["", "  ", "\u2003\t", "w1", "w2 w3", " w4", "w5"]), max_size=4), max_size=12)


def make_source(texts: list[list[str]]) -> TokenisedTexts:
    dataset = FakeDataset([len(texts)], texts)
    return TokenisedTexts(dataset, TOKENIZER, TextOptions(max_tokens=4))  # pyright: ignore[reportArgumentType]


def keep(source: TokenisedTexts, num_rows: int) -> KeptTexts:
    counts, texts = source.read(0, np.arange(num_rows))
    return KeptTexts(source, np.concatenate(([0], np.cumsum(counts))), texts)


def test_draws_each_text_equally_often_over_epochs():
    kept = keep(make_source([["w0"], ["w1", "w2", "w3"]]), 2)
    ranks, row_numbers = np.array([0, 1]), np.array([17, 30])
    drawn = np.array([kept.gather(ranks, row_numbers, seed=1, epoch=epoch)[0][:, 0] for epoch in range(3_000)])
    assert (drawn[:, 0] == 3).all()
    counts = np.bincount(drawn[:, 1] - 4)
    assert len(counts) == 3
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@settings(max_examples=50)
@given(texts=LISTS, seed=st.integers(0, 99), epoch=st.integers(0, 9))
def test_a_draw_depends_on_the_row_number_alone(texts: list[list[str]], seed: int, epoch: int):
    texts = [row for row in texts if any(text.strip() for text in row)] + [["w6", "w7", "w8"]]
    row_numbers = np.arange(len(texts)) * 7 + 5
    source = make_source(texts)
    kept, ranks = keep(source, len(texts)), np.arange(len(texts))
    (together,) = kept.gather(ranks, row_numbers, seed=seed, epoch=epoch)
    assert together.dtype == np.int32
    (backwards,) = kept.gather(ranks[::-1], row_numbers[::-1], seed=seed, epoch=epoch)
    np.testing.assert_array_equal(backwards[::-1], together)
    (afresh,) = source.read_chosen(0, ranks, lambda counts: draw_choices(seed, epoch, row_numbers, counts))
    np.testing.assert_array_equal(afresh, together)


@pytest.mark.parametrize(("num_words", "expected"), [(2**16 - 3, np.uint16), (2**16 - 2, np.int32)])
def test_keeps_ids_in_the_smallest_type_that_holds_them(num_words: int, expected: type):
    rows = TokenRows(WordTokenizer([f"w{number}" for number in range(num_words)]), 4)
    (kept,) = rows.to_kept(np.full((1, 4), num_words + 2, np.int32))
    assert kept.dtype == expected
    np.testing.assert_array_equal(rows.from_kept((kept,))[0], np.full((1, 4), num_words + 2))
    assert rows.bytes_per_kept == kept.nbytes
