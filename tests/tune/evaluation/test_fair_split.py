"""Rows that share a text or an image are never on both sides of a split."""

import numpy as np
import pytest
import scipy.sparse.csgraph
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.tune.evaluation.fair_split import Row, split_fairly


def _alone(count):
    return {f"key-{number}": Row([f"text {number}"], number) for number in range(count)}


def test_every_row_is_somewhere_once_and_as_many_as_asked_for_are_held_out():
    split = split_fairly(_alone(40), 10)
    assert len(split.held_out) == 10 and split.left_out == [] and split.num_alike == 0
    assert sorted([*split.held_out, *split.trained_on]) == sorted(_alone(40))


def test_the_split_depends_on_keys_not_on_places_and_loses_only_rows_that_are_missing():
    rows = _alone(200)
    split = split_fairly(rows, 50)
    assert split_fairly(dict(reversed(rows.items())), 50) == split
    fewer = {key: row for key, row in rows.items() if key not in ("key-3", "key-77", "key-150")}
    assert len({*split.held_out} & {*split_fairly(fewer, 50).held_out}) >= 47


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Row(["A  cat "], "one"), Row(["a dog", "a CAT"], "other")),
        (Row(["a cat"], b"same"), Row(["a dog"], b"same")),
    ],
)
def test_rows_with_a_common_text_or_image_stay_together(one, other):
    rows = {**_alone(30), "one": one, "other": other}
    split = split_fairly(rows, 30)
    assert split.num_alike == 2 and {"one", "other"} <= {*split.trained_on}
    split = split_fairly(rows, 31)  # no other is left
    assert len({"one", "other"} & {*split.held_out}) == 1 and len(split.left_out) == 1
    assert split.trained_on == []


def test_a_text_that_most_rows_have_does_not_use_up_the_others():
    rows = {f"key-{number}": Row(["a photo"], number) for number in range(500)} | {
        f"own-{number}": Row([f"text {number}"], 1000 + number) for number in range(20)
    }
    split = split_fairly(rows, 15)
    assert len(split.held_out) == 15 and all(key.startswith("own") for key in split.held_out)
    assert len(split.trained_on) == 505


@settings(max_examples=40)
@given(st.lists(st.tuples(st.lists(st.integers(0, 25), min_size=1, max_size=2), st.integers(0, 25)), max_size=40))
def test_groups_are_the_connected_components_of_scipy(given_rows):
    rows = {f"key-{at}": Row([f"t{n}" for n in texts], image) for at, (texts, image) in enumerate(given_rows)}
    marks = [{f"text-{n}" for n in texts} | {f"image-{image}"} for texts, image in given_rows]
    linked = np.array([[bool(mine & theirs) for theirs in marks] for mine in marks], dtype=bool).reshape(
        len(rows), len(rows)
    )
    count, of_row = scipy.sparse.csgraph.connected_components(linked) if rows else (0, np.zeros(0, int))
    sizes = np.bincount(of_row, minlength=count)
    split = split_fairly(rows, count)
    place = {key: at for at, key in enumerate(rows)}
    assert sorted(of_row[place[key]] for key in split.held_out) == list(range(count))  # one of each
    assert split.num_alike == sizes[sizes > 1].sum() and len(split.left_out) == len(rows) - count
