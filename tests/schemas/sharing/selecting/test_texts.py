"""Criteria of texts: a row matches if one of its texts does."""

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.schemas import RowBlock
from lit_precompute.schemas.sharing.selecting.texts import Languages, TextLength, TextPattern

TEXTS = [["a cat", "a red dog"], [], ["A CAT\non a mat"], [" \u3000\n"], ["\u732b"], ["concatenate"], ["  a  cat  "]]


def _matches(criterion, texts=TEXTS, kind=None, sliced=False):
    column = pa.array(texts, kind or pa.list_(pa.string()))
    if sliced:  # as a block of a larger array is
        column = pa.concat_arrays([column, column]).slice(len(texts), len(texts))
    return np.flatnonzero(criterion.matches(RowBlock(0, len(texts), {criterion.columns[0]: column}))).tolist()


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("cat", [0, 5, 6]),
        (r"(?i)\bcat\b", [0, 2, 6]),
        ("dog$", [0]),
        ("^a cat", [0]),
        (r"\p{Han}", [4]),
        ("A.*mat", []),
        ("(?is)a.*mat", [2]),
    ],
)
@pytest.mark.parametrize("sliced", [False, True])
def test_patterns(pattern, rows, sliced):
    assert _matches(TextPattern(pattern, "texts"), sliced=sliced) == rows


def test_patterns_of_a_column_of_strings():
    assert _matches(TextPattern("^b", "title"), ["b", "ab", "bb"], pa.string()) == [0, 2]


def test_refuses_what_is_no_pattern():
    with pytest.raises(ValueError, match=r"pattern must be a regular expression \(RE2\), got '\(a'"):
        TextPattern("(a", "texts")


@pytest.mark.parametrize(
    ("unit", "least", "most", "rows"),
    [
        ("characters", 1, None, [0, 2, 4, 5, 6]),
        ("characters", None, 1, [4]),
        ("characters", 5, 6, [0, 6]),
        ("characters", 9, 9, [0]),
        ("characters", 15, None, []),
        ("words", 2, 2, [0, 6]),
        ("words", 3, None, [0, 2]),
        ("words", None, 1, [4, 5]),
        ("words", 4, 100, [2]),
    ],
)
def test_lengths(unit, least, most, rows):
    """White space around a text does not count; a Chinese character is one."""
    expected = {"characters": len, "words": lambda text: len(text.split())}[unit]
    most_of_all = most or 1_000
    fits = [any((least or 1) <= expected(text.strip()) <= most_of_all for text in each) for each in TEXTS]
    assert _matches(TextLength(unit, least, most, "texts")) == np.flatnonzero(fits).tolist() == rows


@pytest.mark.parametrize(("least", "most"), [(0, None), (3, 2), (None, 0)])
def test_refuses_lengths_that_no_text_has(least, most):
    with pytest.raises(ValueError, match="words of a text must be from 1 on"):
        TextLength("words", least, most, "texts")


def test_languages_of_rows_and_of_texts():
    assert _matches(Languages(["en", "DE"], "language"), ["en", "de", "", "fr"], pa.string()) == [0, 1]
    assert _matches(Languages(["de"], "language"), [["en", "de"], ["DE"], [], ["en"]]) == [0, 1]
