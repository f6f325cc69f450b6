import json
from typing import Any

import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.values import parse_json, read_key, read_label, read_texts, shown_path


def _read(text: str) -> Any:
    return parse_json(text, SourceError)


@pytest.mark.parametrize(
    ("json_text", "texts", "notes"),
    [
        ('{"text": "a"}', ["a"], []),
        ('{"text": ["a", "", "b"]}', ["a", "b"], []),
        ("{}", [], []),
        ('{"text": null}', [], []),
        ('{"text": NaN}', [], []),
        ('{"text": ""}', [], []),
        ('{"text": []}', [], []),
        ('{"text": ["a", null, NaN]}', ["a"], []),
        ('{"text": 7}', [], ["'text' is a number, left out"]),
        ('{"text": Infinity}', [], ["'text' is a number, left out"]),
        ('{"text": 0.5}', [], ["'text' is a number, left out"]),
        ('{"text": false}', [], ["'text' is true or false, left out"]),
        ('{"text": {"en": "a"}}', [], ["'text' is an object, left out"]),
        ('{"text": [7, "a", ["b"], true]}', ["a"], ["a number", "a list", "true or false"]),
        ('{"text": "\\ud83d"}', [], ["'text' contains half a surrogate pair, left out"]),
        ('{"text": ["\\ud83d\\ude00", "\\ude00"]}', ["😀"], ["half a surrogate pair"]),
    ],
)
def test_texts_are_strings_and_whatever_else_is_noted(json_text, texts, notes):
    found = read_texts(_read(json_text), "text")
    expected = [note if note.startswith("'") else f"'text' contains {note}, left out" for note in notes]
    assert found == (texts, expected)


@pytest.mark.parametrize(
    ("value", "label", "notes"),
    [
        ('"cat"', "cat", []),
        ("7", "7", []),
        ("-1", "-1", []),
        ("3.0", "3.0", []),  # as in CSV; who matches labels with classes decides
        ("1e3", "1000.0", []),
        ("null", "", []),
        ("NaN", "", []),
        ('""', "", []),
        ("0.93", "", ["is a number"]),
        ("1e300", "", ["is a number"]),
        ("-Infinity", "", ["is a number"]),
        ("true", "", ["is true or false"]),
        ('["cat", "dog"]', "", ["is a list"]),
        ("{}", "", ["is an object"]),
        ('"\\ud83d"', "", ["contains half a surrogate pair"]),
    ],
)
def test_labels_are_strings_or_whole_numbers_and_whatever_else_is_noted(value, label, notes):
    found = read_label({"label": _read(value)}, "label")
    assert found == (label, [f"'label' {note}, left out" for note in notes])
    assert read_label({}, "label") == ("", [])


def test_white_space_that_a_reader_would_overlook_is_shown():
    for path in ("a.png ", " a.png", "a /b.png", "a/ b.png", "a  b.png", "a\tb.png", "a\xa0b.png", "a.png\n"):
        assert shown_path(path) == repr(path)
    for path in ("a.png", "/my images/a b.png", "s3://a/b.png", ""):
        assert shown_path(path) == path


def test_keys_are_strict():
    assert read_key({"key": "a"}, "key", SourceError) == "a"
    assert read_key({"key": 7}, "key", SourceError) == "7"
    assert read_key({}, "key", SourceError) == ""
    for value in ("", None, float("nan")):
        with pytest.raises(SourceError, match="key 'key' is empty; give every row a key or none"):
            read_key({"key": value}, "key", SourceError)
    for value in (0.5, True, ["a"], {}, 3.0):
        with pytest.raises(SourceError, match="'key' must be a string or a whole number, got "):
            read_key({"key": value}, "key", SourceError)
    with pytest.raises(SourceError, match="'key' must not contain half a surrogate pair"):
        read_key({"key": "\ud83d"}, "key", SourceError)


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "1" * 5000, json.dumps("\x1b[31m\t") + "x"])
def test_what_is_not_json_is_reported_without_control_characters(text):
    with pytest.raises(SourceError, match="JSON") as caught:
        _read(text)
    assert str(caught.value).isprintable()
