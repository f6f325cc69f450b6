"""The best and the random: exact against sorting, without replacement, every row equally likely."""

import io

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.schemas import DatasetError
from lit_precompute.schemas.sharing.selecting import bits
from lit_precompute.schemas.sharing.selecting.choosing import (
    Sample,
    draw_sample,
    find_kth_least,
    in_ascending_order,
    keep_best,
)
from lit_precompute.schemas.sharing.selection import SelectedFrom, Selection


def _selection(mask):
    dataset = SelectedFrom(digest="0" * 64, embeddings="1" * 64, num_rows=len(mask))
    return Selection(dataset=dataset, bits=np.packbits(np.asarray(mask, bool), bitorder="little"), made_by={})


def _rows(selection):
    return selection.rows(0, selection.dataset.num_rows).tolist()


@given(st.data(), st.lists(st.integers(0, 3) | st.integers(0, 2**64 - 1), min_size=1), st.integers(1, 5))
def test_the_kth_least_is_the_kth_of_the_sorted(data, numbers, size):
    k = data.draw(st.integers(1, len(numbers)))
    array = np.array(numbers, np.uint64)
    pieces = [array[start : start + size] for start in range(0, len(array), size)]
    value, num_equal = find_kth_least(lambda: iter(pieces), k)
    ordered = sorted(numbers)
    assert (value, num_equal) == (ordered[k - 1], ordered[:k].count(value))


@given(st.lists(st.floats(allow_nan=False)))
def test_numbers_keep_their_order(numbers):
    order = np.argsort(in_ascending_order(np.array(numbers, np.float64)), kind="stable")
    np.testing.assert_array_equal(order, np.argsort(np.array(numbers), kind="stable"))


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.3, 1.0])), min_size=1),
    st.floats(0.01, 1),
)
def test_the_best_share_is_that_of_a_stable_sort(rows, share):
    mask, scores = np.array([is_in for is_in, _ in rows]), np.array([score for _, score in rows])
    numbers = np.flatnonzero(mask)
    ordered = numbers[np.argsort(-scores[numbers], kind="stable")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "ROWS_AT_ONCE", 8)
        best, least = keep_best(_selection(mask), share, io.BytesIO(scores[numbers].tobytes()))
    expected = ordered[: len(_rows(best))]
    assert _rows(best) == sorted(expected)
    assert share * len(numbers) - 1 - 1e-9 < len(expected) <= share * len(numbers) + 1e-9
    assert least == (min(scores[expected]) if len(expected) else None)


def test_a_share_is_what_was_written():
    """In binary, 0.29 * 100 is 28.999999999999996."""
    best, _ = keep_best(_selection([True] * 100), 0.29, io.BytesIO(np.arange(100.0).tobytes()))
    assert _rows(best) == list(range(71, 100))


@pytest.mark.parametrize("count", [1, 7, 100, 2_000])
def test_a_sample_is_exact_and_a_function_of_the_seed(count, monkeypatch):
    mask = np.arange(4_000) % 2 == 0
    first, second, other = (draw_sample(_selection(mask), Sample(count=count, seed=seed), "d") for seed in (1, 1, 2))
    assert first.num_selected == count
    assert {*_rows(first)} <= {*range(0, 4_000, 2)}
    assert _rows(first) == _rows(second)
    assert count == 2_000 or _rows(first) != _rows(other)
    monkeypatch.setattr(bits, "ROWS_AT_ONCE", 64)
    assert _rows(draw_sample(_selection(mask), Sample(count=count, seed=1), "d")) == _rows(first)


def test_all_rows_are_equally_likely():
    counts = np.zeros(50)
    for seed in range(200):
        counts[_rows(draw_sample(_selection([True] * 50), Sample(count=10, seed=seed), "d"))] += 1
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_a_sample_is_no_larger_than_what_it_is_drawn_from():
    with pytest.raises(DatasetError, match=r"d: 3 rows cannot be drawn at random without replacement from the 2"):
        draw_sample(_selection([True, False, True]), Sample(count=3, seed=0), "d")


@given(st.lists(st.lists(st.booleans(), max_size=30), max_size=10), st.sampled_from([8, 16, 1 << 20]))
def test_bits_are_those_of_all_masks_in_turn(masks, rows_at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "ROWS_AT_ONCE", rows_at_once)
        writer = bits.BitWriter()
        for mask in masks:
            writer.append(np.array(mask, bool))
        found = writer.finish()
    expected = np.packbits(np.array([bit for mask in masks for bit in mask], bool), bitorder="little")
    np.testing.assert_array_equal(found, expected)
