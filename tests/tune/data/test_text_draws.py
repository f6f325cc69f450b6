"""Draws among a row's texts: uniform or as given shares say, without repetition, functions of seed, epoch and row."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.text_draws import draw_arrangement, draw_texts

MANY = np.arange(60_000)


def counts_of(drawn: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(drawn, minlength=size)


@settings(max_examples=100)
@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    most=st.integers(1, 6),
    shares=st.none() | st.lists(st.sampled_from([0.5, 1.0, 0.0]), max_size=5).map(lambda more: [1.0, *more]),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 99),
    stream=st.integers(0, 3),
)
def test_each_row_contributes_different_texts_of_its_own(counts, most, shares, seed, epoch, stream):
    numbers = np.arange(len(counts)) * 7 + 5
    options = {"stream": stream, "most": most, "shares": shares}
    drawn = draw_texts(seed, epoch, numbers, np.array(counts), **options)
    assert drawn.shape == (len(counts), most)
    for row, count in zip(drawn.tolist(), counts, strict=True):
        possible = [text for text in range(count) if shares is None or (text < len(shares) and shares[text] > 0)]
        num_drawn = min(most, len(possible))
        assert row[num_drawn:] == [-1] * (most - num_drawn)
        assert len({*row[:num_drawn]}) == num_drawn and {*row[:num_drawn]} <= {*possible}
    # A row's draw does not depend on the others, nor the first text on how many there may be.
    backwards = draw_texts(seed, epoch, numbers[::-1], np.array(counts)[::-1], **options)
    np.testing.assert_array_equal(backwards[::-1], drawn)
    alone = draw_texts(seed, epoch, numbers, np.array(counts), stream=stream, shares=shares)
    np.testing.assert_array_equal(alone[:, 0], drawn[:, 0])


def test_one_text_of_one_field_is_drawn_as_ever():
    """By the definition that runs without fields have had: their batches keep their bits."""
    counts = np.arange(1, len(MANY) + 1) % 7 + 1
    expected = random_draws.choose(random_draws.make_key(3, random_draws.TEXTS, 2), MANY, counts)
    np.testing.assert_array_equal(draw_texts(3, 2, MANY, counts)[:, 0], expected)


def test_all_orders_of_several_texts_are_equally_likely():
    drawn = draw_texts(0, 0, MANY, np.full(len(MANY), 4), most=3)
    orders = [*itertools.permutations(range(4), 3)]
    found = counts_of(np.array([orders.index(tuple(row)) for row in drawn.tolist()]), len(orders))
    assert len(found) == 24 and scipy.stats.chisquare(found).pvalue > 1e-3


@pytest.mark.parametrize(("count", "shares"), [(3, (0.5, 0.3, 0.2)), (2, (0.5, 0.3, 0.2)), (5, (3.0, 1.0))])
def test_shares_are_those_given_over_the_texts_that_there_are(count: int, shares):
    drawn = draw_texts(1, 4, MANY, np.full(len(MANY), count), shares=shares)[:, 0]
    there = np.array(shares[:count])
    found = counts_of(drawn, len(there))
    assert len(found) == len(there)
    assert scipy.stats.chisquare(found, len(MANY) * there / there.sum()).pvalue > 1e-3


def test_the_second_of_weighted_texts_is_drawn_among_those_left():
    """P(2 then 1) = 1/6 x 3/5, and so on: a draw without replacement."""
    shares = np.array([3.0, 2.0, 1.0])
    drawn = draw_texts(1, 4, MANY, np.full(len(MANY), 3), most=2, shares=shares.tolist())
    pairs = [*itertools.permutations(range(3), 2)]
    expected = [shares[a] / 6 * shares[b] / (6 - shares[a]) for a, b in pairs]
    found = counts_of(np.array([pairs.index(tuple(pair)) for pair in drawn.tolist()]), 6)
    assert scipy.stats.chisquare(found, len(MANY) * np.array(expected)).pvalue > 1e-3


def test_streams_epochs_and_seeds_draw_independently():
    draws = [
        draw_texts(seed, epoch, MANY, np.full(len(MANY), 3), stream=stream)[:, 0]
        for seed in (0, 1)
        for epoch in (0, 1)
        for stream in (0, 1)
    ]
    for one, other in itertools.combinations(draws, 2):
        table = np.zeros((3, 3), int)
        np.add.at(table, (one, other), 1)
        assert scipy.stats.chi2_contingency(table).pvalue > 1e-4


def test_arrangements_differ_between_rows_and_epochs():
    one, other = (draw_arrangement(0, epoch, MANY, stream=2) for epoch in (0, 1))
    assert len(np.unique(one)) > len(MANY) - 5 and (one != other).mean() > 0.999
    assert one.min() >= 0 and one.max() < 2**32


@settings(max_examples=200)
@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=6).filter(lambda weights: sum(weights) > 0),
    key=st.integers(0, 2**64 - 1),
    position=st.integers(0, 2**62),
)
@example([5e-324, 0.0], 0, 1)  # a product with a subnormal sum is rounded up to it
def test_what_has_no_weight_is_never_chosen(weights, key, position):
    (chosen,) = random_draws.choose_weighted(key, np.array([position]), np.array([weights]))
    assert weights[chosen] > 0
