"""Which text a row contributes: empty texts, joins."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import iterate_texts, read_fields, row_texts
from tests.tune.data.fakes import FakeDataset

TOKENIZER = WordTokenizer([f"w{number}" for number in range(40)])
LISTS = st.lists(st.lists(st.sampled_from(["", "  ", "\u2003\t", "w1", "w2 w3", " w4", "w5"]), max_size=4), max_size=12)


def column(texts: list[list[str]]) -> pa.ListArray:
    return pa.array(texts, pa.list_(pa.string()))


@given(texts=LISTS, start=st.integers(0, 3))
def test_blank_texts_are_left_out_and_counted(texts: list[list[str]], start: int):
    counts, strings, blank_counts, _ = row_texts(column(texts)[start:], TextOptions())
    expected = [[text for text in row if text.strip()] for row in texts[start:]]
    assert counts.tolist() == [len(row) for row in expected]
    assert strings.to_pylist() == [text for row in expected for text in row]
    assert blank_counts.tolist() == [sum(not text.strip() for text in row) for row in texts[start:]]


def test_every_white_space_and_invisible_character_is_blank():
    white = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    invisible = ["\u200b", "\u200d\u2060", "\ufeff", "\u00ad", "\u3164", "\ufe0f", "\U000e0020", "\x00", "\x1b", "\x85"]
    assert len(white) == 29
    counts, _, blank_counts, _ = row_texts(column([[*white, *invisible, "".join(white)]]), TextOptions())
    assert (counts.tolist(), blank_counts.tolist()) == ([0], [29 + 10 + 1])


@pytest.mark.parametrize("text", ["...", "-", "☂", " \u200bx", "\u0601", "👩\u200d🚀", "\ue000", "\u0301", "0"])
def test_what_shows_anything_is_a_text(text: str):
    """Punctuation, an Arabic sign of the category of zero-width characters, a private letter and a lone accent, too."""
    assert row_texts(column([[text]]), TextOptions()).strings.to_pylist() == [text]


@given(texts=LISTS, start=st.integers(0, 3))
def test_joined_rows_have_one_text(texts: list[list[str]], start: int):
    counts, strings, _, _ = row_texts(column(texts)[start:], TextOptions(choice="join", separator=" | "))
    expected = [" | ".join(text for text in row if text.strip()) for row in texts[start:]]
    assert counts.tolist() == [int(text != "") for text in expected]
    assert strings.to_pylist() == [text for text in expected if text]


def test_a_missing_text_is_no_text():
    counts, strings, blank_counts, _ = row_texts(column([["w1", None], None, [None]]), TextOptions())  # pyright: ignore
    assert counts.tolist() == [1, 0, 0]
    assert blank_counts.tolist() == [1, 0, 1]
    assert strings.to_pylist() == ["w1"]


def test_iterates_over_the_texts_of_the_chosen_rows():
    dataset = FakeDataset([2, 1, 2], [["a", ""], [], ["b"], ["c", "d"], ["e"]])
    assert list(iterate_texts(dataset)) == ["a", "b", "c", "d", "e"]
    assert list(iterate_texts(dataset, np.array([0, 3]))) == ["a", "c", "d"]


def test_refuses_a_dataset_without_captions():
    dataset = FakeDataset([2])
    dataset.tables = ["embeddings"]
    with pytest.raises(ValueError, match=r"needs the table 'captions'; open tables: \['embeddings'\]"):
        read_fields(dataset, 0, ["texts"])


def test_refuses_impossible_options():
    with pytest.raises(ValueError, match="choice must be"):
        TextOptions(choice="first")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="max_tokens must be >= 2"):
        TextOptions(max_tokens=1)
