"""Pieces: rows of tokens assembled of them, and the form in which a table stores them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.towers.tokenizers.pieces import Pieces, assemble
from lit_precompute.towers.tokenizers.stored_pieces import TokenTableInfo, are_blank, blank_lists, from_lists, to_lists

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


@given(lists=LISTS, start=st.integers(0, 3))
def test_stored_pieces_are_read_back(lists, start):
    stored = to_lists(Pieces.of_lists(lists))
    assert stored.to_pylist() == lists
    ids, counts = from_lists(stored[start:])
    assert ids.tolist() == [number for each in lists[start:] for number in each]
    assert counts.tolist() == [len(each) for each in lists[start:]]
    assert not are_blank(stored).any()


def test_a_blank_text_is_told_from_texts_of_no_piece_and_of_one():
    stored = pa.concat_arrays(
        [to_lists(Pieces.of_lists([[], [0], [1, 2]])), blank_lists(2), to_lists(Pieces.of_lists([[]]))]
    )
    assert are_blank(stored).tolist() == [False, False, False, True, True, False]
    assert are_blank(stored[2:5]).tolist() == [False, True, True]


def test_a_fingerprint_is_of_the_pieces_alone():
    words = ["one", "two"]
    same = WordTokenizer(words).fingerprint
    assert WordTokenizer(words).fingerprint == same
    assert WordTokenizer(words[::-1]).fingerprint != same
    assert WordTokenizer(words, lower_case=False).fingerprint != same


def test_a_description_is_read_back_and_names_the_table():
    info = TokenTableInfo(fingerprint="f" * 64, tokenizer={"given": "a.model"}, max_pieces=64, separator=" | ")
    assert TokenTableInfo.from_bytes(info.to_bytes(), "here") == info
    assert TokenTableInfo(fingerprint="f" * 64, tokenizer={}, max_pieces=64, separator=" | ").name == info.name
    assert TokenTableInfo(fingerprint="f" * 64, tokenizer={}, max_pieces=64).name != info.name
    for damaged in (b"{", b"[]", b'{"fingerprint": "f"}'):
        with pytest.raises(ValueError, match=r"^here: does not describe a token table"):
            TokenTableInfo.from_bytes(damaged, "here")
