"""Options of texts: what they mean, and what is refused."""

import re

import pytest

from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.data.text_options import TextOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choice": "first"}, "text.choice must be 'sample' or 'join', got 'first'"),
        ({"max_tokens": 1}, "text.max_tokens must be >= 2 (one piece and the end token), got 1"),
        ({"combine": "summed"}, "text.combine must be 'joint', 'per-image' or 'per-batch', got 'summed'"),
        ({"texts_per_image": 0}, "text.texts_per_image must be in [1, 100], got 0"),
        ({"texts_per_image": 101}, "text.texts_per_image must be in [1, 100], got 101"),
        (
            {"texts_per_image": 2, "text_weights": "1,0"},
            "text.text_weights must be > 0 for at least 2 texts, which text.texts_per_image asks for, got '1,0'",
        ),
        ({"texts_per_image": 2, "choice": "join"}, "text.texts_per_image must be 1 where texts are joined, got 2"),
        ({"fields": ""}, "text.fields must be names of columns, each once, such as title,tags, got ''"),
        ({"fields": "title,,tags"}, "text.fields must be names of columns, each once"),
        ({"fields": "title, title"}, "text.fields must be names of columns, each once"),
        ({"shuffled": "tags"}, "text.shuffled must be among text.fields (texts), got 'tags'"),
        ({"fields": "tags", "filtered": "title"}, "text.filtered must be among text.fields (tags), got 'title'"),
        (
            {"field_weights": "1,1"},
            "text.field_weights must be 1 numbers, one for each of text.fields (texts), got '1,1'",
        ),
        (
            {"fields": "a,b", "field_weights": "1,0"},
            "text.field_weights must be > 0 (a field that is never drawn is not",
        ),
        ({"fields": "a,b", "field_weights": "1,x"}, "text.field_weights must be numbers separated by commas"),
        ({"fields": "a,b", "field_weights": "1,inf"}, "text.field_weights must be numbers separated by commas"),
        ({"fields": "a,b", "field_weights": "1,1", "combine": "joint"}, "text.field_weights must be empty where text."),
        ({"text_weights": "0,1"}, "text.text_weights must be >= 0, and > 0 for the first text"),
        ({"text_weights": "1,-1"}, "text.text_weights must be >= 0"),
        ({"text_weights": "1", "choice": "join"}, "text.text_weights must be empty where texts are joined, got '1'"),
    ],
)
def test_refuses_what_cannot_be_meant(options, message):
    with pytest.raises(OptionsError, match=re.escape(message)):
        TextOptions(**options)


@pytest.mark.parametrize(
    ("options", "num_columns"),
    [
        ({}, 1),
        ({"fields": "title,description,tags"}, 1),
        ({"fields": "title,description,tags", "combine": "per-batch"}, 1),
        ({"fields": "title,description,tags", "combine": "joint"}, 3),
        ({"texts_per_image": 5}, 5),
        ({"fields": "title,tags", "combine": "joint", "texts_per_image": 5}, 10),
        ({"fields": "title,tags", "combine": "per-batch", "texts_per_image": 5}, 5),
    ],
)
def test_counts_the_texts_of_an_image(options, num_columns: int):
    text = TextOptions(**options)
    assert text.num_columns == num_columns
    assert text.may_be_absent == (num_columns > 1 or text.combine == "per-batch")


def test_lists_may_have_spaces():
    options = TextOptions(fields="title, tags", shuffled=" tags", filtered="title ", field_weights="0.5, 2")
    assert (options.field_names, options.num_fields) == (("title", "tags"), 2)
    assert (options.shuffled_fields, options.filtered_fields) == (("tags",), ("title",))
    assert options.field_shares == (0.5, 2.0)
    assert TextOptions(fields="a,b").field_shares == (1.0, 1.0)
    assert (TextOptions().text_shares, TextOptions(text_weights="3,1").text_shares) == (None, (3.0, 1.0))
