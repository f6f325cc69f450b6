"""Texts with names of their own, from columns of tables."""

import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.looked import look, rows_of

NAMED = SourceColumns(named=("title=TITLE", "tags=KEYWORDS"))


def _named(tmp_path, content, name="t.csv"):
    (tmp_path / name).write_text(content)
    looked = look(tmp_path / name, columns=NAMED)
    assert [column.name for column in looked.survey.tables[0].columns] == ["key", "texts", "title", "tags"]
    return [dict(row.named) for row in rows_of(looked)]


def test_a_cell_is_one_text_or_a_json_list(tmp_path):
    table = (
        'path,text,TITLE,KEYWORDS\n1.png,a,A cat,"[""cat"", ""pet"", null]"\n2.png,b,[sic] x,\n3.png,c,[untitled],7\n'
    )
    assert _named(tmp_path, table) == [
        {"title": ("A cat",), "tags": ("cat", "pet")},
        {"title": ("[sic] x",), "tags": ()},
        {"title": ("[untitled]",), "tags": ("7",)},
    ]


def test_json_lines_have_strings_lists_or_nothing(tmp_path):
    table = """{"path": "1.png", "text": "a", "TITLE": "A cat", "KEYWORDS": ["cat", "pet"]}
{"path": "2.png", "text": "b", "TITLE": null}
"""
    assert _named(tmp_path, table, "t.jsonl") == [
        {"title": ("A cat",), "tags": ("cat", "pet")},
        {"title": (), "tags": ()},
    ]


def test_a_table_may_have_named_texts_alone(tmp_path):
    assert _named(tmp_path, "path,TITLE,KEYWORDS\n1.png,A cat,cat\n") == [{"title": ("A cat",), "tags": ("cat",)}]
    assert _named(tmp_path, '{"path": "1.png", "TITLE": "A", "KEYWORDS": "b"}', "t.jsonl") == [
        {"title": ("A",), "tags": ("b",)}
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "path,text,TITLE\n1.png,a,b\n", r"line 1: no column 'KEYWORDS'; .* as --named-text tags=COLUMN$"),
        (
            "t.jsonl",
            '{"path": "1.png", "text": "a", "TITLE": "b"}',
            r"no row has 'KEYWORDS'; the first has \['TITLE', 'path', 'text'\]; .* as --named-text tags=COLUMN$",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path, name, content, message):
    with pytest.raises(SourceError, match=message):
        _named(tmp_path, content, name)


def test_a_key_that_any_file_has_is_found(tmp_path):
    """Each file is looked into by another worker: only all of them together lack a key."""
    (tmp_path / "0.jsonl").write_text('{"path": "1.png", "text": "a", "TITLE": "b"}')
    (tmp_path / "1.jsonl").write_text('{"path": "2.png", "text": "a", "KEYWORDS": "b"}')
    assert len(rows_of(look(tmp_path, columns=NAMED))) == 2
    (tmp_path / "1.jsonl").unlink()
    with pytest.raises(SourceError, match="no row has 'KEYWORDS'"):
        look(tmp_path, columns=NAMED)
