"""Pieces: rows of tokens assembled of them, and fingerprints."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.towers.tokenizers.pieces import Pieces, assemble

LISTS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=7), max_size=9)
SPECIAL = st.lists(st.integers(0, 9), max_size=2)


@given(lists=LISTS, first=SPECIAL, last=SPECIAL, room=st.integers(1, 8))
def test_rows_are_special_tokens_pieces_special_tokens_and_padding(lists, first, last, room):
    length = room + len(first) + len(last)
    rows = assemble(Pieces.of_lists(lists), length, first=first, last=last, padding=77)
    expected = [[*first, *ids[:room], *last] for ids in lists]
    assert rows.tolist() == [row + [77] * (length - len(row)) for row in expected]
    assert (rows.dtype, rows.shape) == (np.int32, (len(lists), length))


@given(lists=LISTS, size=st.integers(1, 8))
def test_cut_keeps_the_first_pieces_of_each_text(lists, size):
    ids, counts = Pieces.of_lists(lists).cut(size)
    assert ids.tolist() == [number for each in lists for number in each[:size]]
    assert counts.tolist() == [min(len(each), size) for each in lists]


def test_a_fingerprint_is_of_the_pieces_alone():
    words = ["one", "two"]
    same = WordTokenizer(words).fingerprint
    assert WordTokenizer(words).fingerprint == same
    assert WordTokenizer(words[::-1]).fingerprint != same
    assert WordTokenizer(words, lower_case=False).fingerprint != same
