import json

import pytest

from lit_precompute.precompute.sources.source import Example, SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.webdataset.tars import all_rows, has_labels, open_tars, outcome, write_tar


def _row(tmp_path, **parts: str) -> Example:
    """Returns the row of a sample with these members beside its image."""
    members = [("1.jpg", "image"), *((f"1.{suffix}", text) for suffix, text in parts.items())]
    (row,) = all_rows(open_tars(write_tar(tmp_path / "d.tar", members)))
    assert outcome(row) == b"image"
    return row


@pytest.mark.parametrize(
    ("text", "texts", "label", "notes"),
    [
        ('{"label": 0.93}', [], "", ["'label' is a number, left out"]),
        ('{"label": ["cat", "dog"]}', [], "", ["'label' is a list, left out"]),
        ('{"label": true}', [], "", ["'label' is true or false, left out"]),
        ('{"label": null}', [], "", []),
        ('{"label": NaN, "text": NaN}', [], "", []),
        ('{"label": 3}', [], "3", []),
        ('{"text": 7, "label": "cat"}', [], "cat", ["'text' is a number, left out"]),
        ('{"texts": ["ok", null, 7, 8]}', ["ok"], "", ["'texts' contains a number, left out"]),
        ('{"caption": {"en": "a"}}', [], "", ["'caption' is an object, left out"]),
        (r'{"text": "half \ud800"}', [], "", ["'text' contains half a surrogate pair, left out"]),
        ("{not JSON", [], "", ["JSON that cannot be parsed, left out"]),
        ("[" * 100_000, [], "", ["JSON that cannot be parsed, left out"]),
        ('["a", "b"]', [], "", ["JSON that is not an object, left out"]),
        ('"a cat"', [], "", ["JSON that is not an object, left out"]),
        ("7", [], "", ["JSON that is not an object, left out"]),
        ("null", [], "", ["JSON that is not an object, left out"]),
        ("{}", [], "", []),
    ],
)
def test_foreign_json_loses_its_own_words_alone(tmp_path, text, texts, label, notes):
    row = _row(tmp_path, txt="a good text", json=text)
    assert (row.texts, row.label, list(row.notes)) == (("a good text", *texts), label, notes)
    assert _row(tmp_path, cls="7", json=text).label == "7"


def test_members_beside_those_that_are_read_are_noted(tmp_path):
    row = _row(tmp_path, cls="cat", **{"class": "dog"}, json='{"text": "a"}', jsn='{"text": "b"}')
    notes = {"another label in the sample, left out", "another JSON in the sample, left out"}
    assert (row.texts, row.label, set(row.notes)) == (("a",), "cat", notes)
    row = _row(tmp_path, cls="cat", **{"class": "cat\n"}, txt="a", text="b")
    assert (row.texts, row.label, row.notes) == (("a", "b"), "cat", ())


def test_of_a_key_that_the_json_repeats_the_last_value_is_taken_and_it_is_noted(tmp_path):
    row = _row(tmp_path, json='{"text": "a", "label": "x", "text": "b"}')
    notes = ("'text' is repeated in the JSON, all but the last left out",)
    assert (row.texts, row.label, row.notes) == (("b",), "x", notes)


def test_json_that_is_not_utf8_loses_its_own_words_alone(tmp_path):
    path = write_tar(tmp_path / "d.tar", [("1.jpg", b"image"), ("1.json", '{"text": "é"}'.encode("latin-1"))])
    (row,) = all_rows(open_tars(path))
    assert (outcome(row), row.notes) == (b"image", ("JSON that cannot be parsed, left out",))


def test_images_without_texts_are_taken_and_json_without_a_text_is_noted(tmp_path):
    row = _row(tmp_path, json='{"url": "u"}')
    assert (row.texts, row.notes) == ((), ("JSON without text, texts or caption",))
    assert _row(tmp_path, json='{"url": "u"}', txt="").notes == ()
    assert _row(tmp_path, json='{"caption": null}').notes == ()
    assert _row(tmp_path).notes == ()


def test_members_of_webdatasets_writer(tmp_path):
    """What `TarWriter` of webdataset 1.0.2 writes for text, cls (a whole number), json and the like."""
    row = _row(tmp_path, text="żółw", jsn=json.dumps({"texts": ["two"]}), **{"class": "3"}, index="17", pyd="")
    assert (row.texts, row.label, row.notes) == (("żółw", "two"), "3", ())


@pytest.mark.parametrize(
    ("caption", "texts"),
    [
        ("a cat", ["a cat"]),
        (" a cat\n", ["a cat"]),
        (None, []),
        (float("nan"), []),
        (["a", "b"], ["a", "b"]),
        ("nan", ["nan"]),
    ],
)
def test_samples_of_img2dataset(tmp_path, caption, texts):
    """As its writer makes them: txt is str(caption), or "" for None; rom1504/img2dataset#46."""
    about = {
        "url": "http://example.org/1.jpg",
        "caption": caption,
        "key": "000000001",
        "status": "success",
        "error_message": None,
        "width": 256,
        "height": 256,
        "original_width": 512,
        "original_height": 512,
        "exif": "{}",
        "sha256": "0" * 64,
    }
    txt = str(caption) if caption is not None else ""
    row = _row(tmp_path, json=json.dumps(about, indent=4), txt=txt)
    assert (list(row.texts), row.label, row.notes) == (texts, "", ())


def test_a_key_that_the_user_named_must_be_in_some_json(tmp_path):
    members = [(f"{n}.{kind}", "{}" if kind == "json" else "") for n in range(120) for kind in ("jpg", "json")]
    members += [("120.jpg", ""), ("120.json", '{"prompt": "found late"}')]
    path = write_tar(tmp_path / "d.tar", members)
    rows = all_rows(open_tars(path, columns=SourceColumns(text="prompt")))
    assert rows[-1].texts == ("found late",)
    with pytest.raises(SourceError, match=r"no sample's JSON has 'promt'; there are 'prompt'; .txt and .cls need no"):
        open_tars(path, columns=SourceColumns(text="promt"))


def test_a_source_has_labels_where_planning_finds_one(tmp_path):
    def labels(numbers: dict[int, object]) -> tuple[bool, list[str], set[str]]:
        about = {
            n: json.dumps({"text": "t", "label": numbers.get(n)} if n in numbers else {"text": "t"}) for n in range(110)
        }
        members = [(f"{n}.{kind}", about[n] if kind == "json" else "") for n in about for kind in ("jpg", "json")]
        source = open_tars(write_tar(tmp_path / "d.tar", members))
        rows = all_rows(source)
        return (
            has_labels(source),
            [row.label for row in rows if row.label],
            {n for row in rows for n in row.notes},
        )

    assert labels({0: "cat"}) == (True, ["cat"], set())
    assert labels({0: None, 1: "cat"}) == (True, ["cat"], set())
    assert labels({50: "cat"}) == (True, ["cat"], set())
    assert labels({0: 0.5}) == (False, [], {"'label' is a number, left out"})
    late = "label, which no sample had where planning looked, left out"
    assert labels({105: "cat"}) == (False, [], {late})


def test_named_texts_come_from_the_json_and_from_members(tmp_path):
    path = write_tar(
        tmp_path / "d.tar",
        [
            ("1.jpg", b"image"),
            ("1.json", json.dumps({"text": "a text", "TITLE": " a title ", "keywords": ["a", "b", "a", 7]})),
            ("1.Story.txt", "a story\n"),
            ("2.jpg", b"image"),
            ("2.story.txt", b"\xff"),
            ("3.jpg", b"image"),
            ("3.json", '{"TITLE": 3}'),
        ],
    )
    columns = SourceColumns(named=("title=TITLE", "tags=keywords", "story=story.txt"))
    looked = open_tars(path, columns=columns)
    assert [column.name for column in looked.survey.tables[0].columns] == ["key", "texts", "title", "tags", "story"]
    rows = all_rows(looked)
    assert [(row.texts, dict(row.named)) for row in rows] == [
        (("a text",), {"title": ("a title",), "tags": ("a", "b"), "story": ("a story",)}),
        ((), {"title": (), "tags": (), "story": ()}),
        ((), {"title": (), "tags": (), "story": ()}),
    ]
    assert rows[0].notes == ("'keywords' contains a number, left out",)
    assert outcome(rows[1]) == ("unreadable", "2.story.txt: not UTF-8 at byte 0")
    assert "'TITLE' is a number, left out" in rows[2].notes
    assert looked.source.options["columns"]["named"] == columns.named_columns
    for row in rows:
        assert row.values("captions").keys() == {"texts", "title", "tags", "story"}


def test_a_named_text_must_be_in_some_sample(tmp_path):
    path = write_tar(tmp_path / "d.tar", [("1.jpg", b""), ("1.json", '{"title": "t"}'), ("1.title.txt", "t")])
    open_tars(path, columns=SourceColumns(named=("title=title.txt", "also=title")))
    with pytest.raises(
        SourceError, match="no sample's JSON has 'titel', nor is it a member's suffix; there are 'title';"
    ):
        open_tars(path, columns=SourceColumns(named=("title=titel",)))


@pytest.mark.parametrize(("label", "json_label"), [("7", 3), ("tench, Tinca tinca\n", "x")])
def test_a_cls_member_comes_before_the_label_of_the_json(tmp_path, label, json_label):
    row = _row(tmp_path, cls=label, json=json.dumps({"label": json_label}))
    assert row.label == label.strip()
