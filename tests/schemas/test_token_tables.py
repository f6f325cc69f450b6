"""Token tables: their lists, and what describes them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.schemas.token_tables import TokenTableInfo, are_blank, blank_lists, from_lists, to_lists

LISTS = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=7), max_size=9)


def stored(lists: list[list[int]]) -> pa.ListArray:
    ids, counts = [number for each in lists for number in each], [len(each) for each in lists]
    return to_lists(np.array(ids, np.int32), np.array(counts, np.int64))


@given(lists=LISTS, start=st.integers(0, 3))
def test_lists_are_read_back(lists, start):
    found = stored(lists)
    assert found.to_pylist() == lists
    ids, counts = from_lists(found[start:])
    assert ids.tolist() == [number for each in lists[start:] for number in each]
    assert counts.tolist() == [len(each) for each in lists[start:]]
    assert not are_blank(found).any()


def test_a_blank_text_is_told_from_texts_of_no_piece_and_of_one():
    found = pa.concat_arrays([stored([[], [0], [1, 2]]), blank_lists(2), stored([[]])])
    assert are_blank(found).tolist() == [False, False, False, True, True, False]
    assert are_blank(found[2:5]).tolist() == [False, True, True]


def test_a_description_is_read_back_and_names_the_table():
    info = TokenTableInfo(fingerprint="f" * 64, tokenizer={"given": "a.model"}, max_pieces=64, separator=" | ")
    assert TokenTableInfo.from_bytes(info.to_bytes(), "here") == info
    assert TokenTableInfo(fingerprint="f" * 64, tokenizer={}, max_pieces=64, separator=" | ").name == info.name
    assert TokenTableInfo(fingerprint="f" * 64, tokenizer={}, max_pieces=64).name != info.name
    for damaged in (b"{", b"[]", b'{"fingerprint": "f"}'):
        with pytest.raises(ValueError, match=r"^here: does not describe a token table"):
            TokenTableInfo.from_bytes(damaged, "here")
