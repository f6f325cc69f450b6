"""Titles that a camera gave: the rules of appendix C, one by one."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.tune.data.camera_names import are_camera_names
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import row_texts


def is_camera_name(title: str) -> bool:
    return are_camera_names(pa.array([title]))[0].as_py()


@pytest.mark.parametrize(
    "title",
    [
        *("DSC_0123", "DSC00012.JPG", "DSCN1", "IMG_2041", "IMG", "Picture 012", "Picture of my dog", " IMG 1"),
        *("image", "Image", "IMAGE", " image\n"),
        *("20071225", "12.7.04", "2007-12-25", "a123", "1 2 3 4 5 ab", "٣٤٥"),
    ],
)
def test_says_nothing_of_the_image(title: str):
    assert is_camera_name(title)


@pytest.mark.parametrize(
    "title",
    [
        *("dsc", "imgur", "img of a dog", "picture this", "My Picture", "the IMG file", "Descent"),
        *("images", "an image", "image of a dog", "", "   ", "..."),
        *("ab12", "Room 101 at night", "1 a", "5 dogs", "Boeing 747"),
    ],
)
def test_is_a_title(title: str):
    assert not is_camera_name(title)


@given(title=st.text(alphabet="a1 ٣.D", max_size=8))
def test_more_than_half_digits_by_definition(title: str):
    visible = [character for character in title if not character.isspace()]
    assert is_camera_name(title) == (2 * sum(character.isdigit() for character in visible) > len(visible))


def test_filtered_titles_are_left_out_and_counted_apart_from_blank_ones():
    titles = pa.array([["IMG_1", "a dog"], ["  ", "12345"], [], None, ["b", "Image"]], pa.list_(pa.string()))
    options = TextOptions(fields="title,texts", filtered="title")
    counts, strings, blank_counts, filtered_counts = row_texts(titles, options, "title")
    assert (counts.tolist(), strings.to_pylist()) == ([1, 0, 0, 0, 1], ["a dog", "b"])
    assert (blank_counts.tolist(), filtered_counts.tolist()) == ([0, 1, 0, 0, 0], [1, 1, 0, 0, 1])
    assert row_texts(titles, options, "texts").counts.tolist() == [2, 1, 0, 0, 2]
    joined = row_texts(titles, TextOptions(fields="title", filtered="title", choice="join"), "title")
    assert joined.strings.to_pylist() == ["a dog", "b"]
