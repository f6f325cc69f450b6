"""Of two naming schemes of keys: what differs is said where it is evident, and nothing else."""

import pytest

from lit_precompute.schemas.sharing.unlike_keys import unlike_in_words, unlike_keys


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("cat.jpg", "images/dog.jpg", "in folder"),
        ("images/cat.jpg", "images/dog.png", "in ending"),
        ("cat.jpg", "images/dog", "in folder and ending"),
        ("cat.JPG", "dog.jpg", "in case"),
        ("cat.jpg", "CAT.jpg", "in case"),
        ("Mona Lisa", "mona lisa", "in case"),
        ("000017", "18", "in leading zeros"),
        ("100", "18", ""),
        ("figure 1.5", "figure 2.5", ""),
        ("cat", "dog", ""),
        ("Cat", "dog", ""),
        (".jpg", "dog", ""),
    ],
)
def test_what_differs(one, other, how):
    assert unlike_keys(one, other) == how == unlike_keys(other, one)


def test_both_keys_are_shown_on_one_line():
    assert unlike_in_words("ours", "a\nb", "theirs", "c.png") == (
        r"ours are like 'a\nb', theirs like 'c.png', which differs in ending"
    )
    assert unlike_in_words("ours", "a", "theirs", "b") == "ours are like 'a', theirs like 'b'"
