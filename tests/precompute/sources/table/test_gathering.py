"""One caption a line: rows that share an image become one row, where that is asked for."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.looked import look, num_rows, rows_of

TABLE = "path,text,label\n0.png,a,cat\n0.png,b,cat\n\n1.png,c,dog\n2.png,,\n2.png,d,\n"


@pytest.fixture
def put(tmp_path):
    """Returns a function that writes a table and returns its path."""

    def put(content: str, name: str = "t.csv"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return put


@pytest.mark.parametrize("rows_per_unit", [1, 2, 100])
def test_consecutive_rows_of_an_image_become_one_with_all_texts_in_order(put, rows_per_unit):
    looked = look(put(TABLE), gather=True, rows_per_unit=rows_per_unit)
    rows = [(row.key, row.texts, row.label) for row in rows_of(looked, rows_per_unit)]
    assert rows == [("0.png", ("a", "b"), "cat"), ("1.png", ("c",), "dog"), ("2.png", ("d",), "")]
    assert (num_rows(looked), looked.survey.extent) == (3, "7 lines, 1 blank, gathered by key")
    assert looked.source.options["gather"] is True


def test_rows_are_gathered_by_the_column_of_keys(put):
    table = put("path,text,id\nx.png,a,1\nx.png,b,1\nx.png,c,2\n")
    rows = rows_of(look(table, gather=True, columns=SourceColumns(key="id")))
    assert [(row.key, row.texts) for row in rows] == [("1", ("a", "b")), ("2", ("c",))]


def test_a_title_that_every_line_repeats_is_kept_once(put):
    table = put("path,text,title,tag\n1.png,a,T,x\n1.png,b,T,y\n")
    (row,) = rows_of(look(table, gather=True, columns=SourceColumns(named=("title=title", "tags=tag"))))
    assert (row.texts, row.named) == (("a", "b"), {"title": ("T",), "tags": ("x", "y")})


def test_notes_of_all_lines_are_kept(put):
    lines = [{"path": "1.png", "text": text} for text in ("a", 7, True)]
    (row,) = rows_of(look(put("\n".join(map(json.dumps, lines)), "t.jsonl"), gather=True))
    assert row.texts == ("a",)
    assert row.notes == ("'text' is a number, left out", "'text' is true or false, left out")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "path,text,label\n1.png,a,cat\n1.png,b,dog\n",
            r"line 3: label 'dog', but 'cat' in line 2, a row of the same key '1\.png': gathered rows must agree$",
        ),
        ("path,text,key\n1.png,a,x\n2.png,b,x\n", r"line 3: image '2\.png', but '1\.png' in line 2, a row of the same"),
        (
            "path,text\n1.png,a\n1.png,b\n2.png,c\n1.png,d\n",
            r"line 5: keys must be unique, '1\.png' was first seen at .*, line 2; sort the table by image, so that "
            r"--gather finds all rows of an image one after the other, or give each row",
        ),
    ],
)
def test_rows_that_cannot_be_gathered_are_refused_with_their_lines(put, table, message):
    with pytest.raises(SourceError, match=message):
        look(put(table), gather=True)


def test_without_it_rows_of_one_image_are_repeated_keys_and_the_message_names_it(put):
    with pytest.raises(SourceError, match=r"line 3: keys must be unique, .*; if the rows of .*, use --gather$"):
        look(put(TABLE))


def test_it_is_for_tables(tmp_path):
    with pytest.raises(SourceError, match="--gather is for tables, and this is webdataset"):
        look(tmp_path / "d.tar", gather=True)


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8), rows_per_unit=st.integers(1, 4))
def test_no_slice_cuts_an_image(tmp_path_factory, sizes, rows_per_unit):
    path = tmp_path_factory.mktemp("gather") / "t.csv"
    texts = {f"{number}.png": tuple(f"t{each}" for each in range(size)) for number, size in enumerate(sizes)}
    path.write_text("path,text\n" + "".join(f"{name},{text}\n" for name, all in texts.items() for text in all))
    looked = look(path, gather=True, rows_per_unit=rows_per_unit)
    units = looked.units(rows_per_unit)
    assert [unit.num_rows for unit in units[:-1]] == [rows_per_unit] * (len(units) - 1)
    assert {row.key: row.texts for row in rows_of(looked, rows_per_unit)} == texts
