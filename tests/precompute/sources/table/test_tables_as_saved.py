"""Tables as people save them: other separators, quoted TSV, line ends, values of unusable types."""

import csv
import io
import json

import pytest

from lit_precompute.precompute.sources.source import Example, SourceError
from tests.precompute.sources.looked import has_labels, look, num_rows, rows_of

IN_QUOTES = "a field in quotes, kept as it is (if the table quotes fields, use --source-format quoted-tsv)"


@pytest.fixture
def read(tmp_path):
    """Returns a function from a table's bytes to the source, looked into, and its rows, read in units of one row."""

    def read(content: str | bytes, name: str = "t.csv", format: str | None = None):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        looked = look(path, format=format, rows_per_unit=1)
        return looked, rows_of(looked)

    return read


def _texts(rows: list[Example]) -> dict[str, tuple[str, ...]]:
    return {row.key: row.texts for row in rows}


def test_stray_quotes_in_tsv_merge_no_rows(read):
    table = 'path\ttext\na.png\t"one\nb.png\ttwo\nc.png\tthree"\n'
    looked, rows = read(table, "t.tsv")
    assert _texts(rows) == {"a.png": ('"one',), "b.png": ("two",), "c.png": ('three"',)}
    assert [row.notes for row in rows] == [()] * 3
    assert (num_rows(looked), looked.survey.extent) == (3, "4 lines")


def test_fields_in_quotes_are_kept_in_tsv_and_noted(read):
    """What pandas and Excel write where a text contains a quote."""
    table = 'path\ttext\na.png\t"says ""hi"""\nb.png\t5" tall\nc.png\t"to be" or "not"\n'
    _, rows = read(table, "t.tsv")
    assert [row.texts[0] for row in rows] == ['"says ""hi"""', '5" tall', '"to be" or "not"']
    assert [row.notes for row in rows] == [(IN_QUOTES,), (), ()]
    with pytest.raises(SourceError, match=r"line 4: '\\t' expected after '\"'"):
        read(table, "t.tsv", "quoted-tsv")
    _, rows = read(table.rpartition("c.png")[0], "t.tsv", "quoted-tsv")
    assert [(row.texts[0], row.notes) for row in rows] == [('says "hi"', ()), ('5" tall', ())]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('path\ttext\na.png\t"one\ttwo"\n', r"line 2: the header has 2 fields, this row 3; in TSV .*quoted-tsv"),
        ('path\ttext\na.png\t"one\ntwo"\n', r"line 3: the header has 2 fields, this row 1; in TSV .*quoted-tsv"),
        ('path\ttexts\na.png\t"[""one""]"\n', r"line 2: not JSON: .*; if the table quotes fields, .*quoted-tsv"),
        ('path\ttext\n"a.png"\tone\n', r"line 2: the path is in quotes, '\"a.png\"'; .*quoted-tsv"),
        ('"path"\t"text"\n"a.png"\t"one"\n', r"""line 1: no column 'path'; there are \['"path"', .*quoted-tsv"""),
    ],
)
def test_a_quoted_tsv_is_refused_where_quotes_matter(read, table, message):
    with pytest.raises(SourceError, match=message):
        read(table, "t.tsv")
    _, rows = read(table, "t.tsv", "quoted-tsv")
    assert [row.key for row in rows] == ["a.png"]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("quoted-tsv", "\t"), ("semicolon-csv", ";")])
def test_each_quoted_format_reads_what_the_csv_module_writes(read, quoting, format, delimiter):
    texts = ['a; "b",\tc', "d\r\ne\rf\n", " g ", '"', "7"]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=quoting).writerows(
        [("path", "text"), *((f"{number}.png", text) for number, text in enumerate(texts))]
    )
    looked, rows = read(stream.getvalue(), format=format)
    assert [row.texts[0] for row in rows] == texts
    assert looked.survey.extent == "9 lines, 1 row of several lines"


def test_how_quotes_are_read_is_part_of_the_source(read):
    """Earlier versions took TSV as quoted: their datasets must be this job's only where that makes no difference."""
    plain, quotes = 'path\ttext\na.png\tsays "hi"\n', 'path\ttext\na.png\t"says ""hi"""\n'
    assert read(plain, "t.tsv")[0].survey.options == {}
    assert read(quotes, "t.tsv")[0].survey.options == {"quotes": "kept"}
    looked, _ = read(quotes, "t.tsv", "quoted-tsv")
    assert (looked.source.options["format"], looked.survey.options) == ("quoted-tsv", {})


@pytest.mark.parametrize(
    ("name", "table", "format"),
    [
        ("t.csv", "path;text\na.png;one\n", "semicolon-csv"),
        ("t.csv", '"path";"text"\n"a.png";"one"\n', "semicolon-csv"),
        ("t.csv", "path\ttext\na.png\tone\n", "tsv"),
        ("t.csv", '"path"\t"text"\n"a.png"\t"one"\n', "quoted-tsv"),
        ("t.tsv", "path,text\na.png,one\n", "csv"),
        ("t.tsv", "path;text\na.png;one\n", "semicolon-csv"),
    ],
)
def test_another_separator_is_noticed_and_its_format_named(read, name, table, format):
    with pytest.raises(
        SourceError, match=f"line 1: no column 'path'; .*: read it with --source-format {format}"
    ) as caught:
        read(table, name)
    assert str(caught.value).isprintable()
    assert _texts(read(table, name, format)[1]) == {"a.png": ("one",)}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_every_line_end_gives_the_same_rows_in_every_unit(read, name, end):
    lines = ["path,text", "a.png,one", "", "b.png,two", "c.png,three"]
    if name == "t.jsonl":
        lines = [
            json.dumps(dict(zip(("path", "text"), line.split(","), strict=True))) if line else "" for line in lines[1:]
        ]
    content = end.join(lines).replace(",", "\t" if name == "t.tsv" else ",")
    looked, rows = read(content, name)
    assert _texts(rows) == {"a.png": ("one",), "b.png": ("two",), "c.png": ("three",)}
    assert looked.survey.extent == f"{len(lines)} lines, 1 blank"


def test_line_ends_may_be_mixed(read):
    _, rows = read(b'\xef\xbb\xbfpath,text\ra.png,one\r\nb.png,"t\rw\r\no"\nc.png,three\r\r')
    assert _texts(rows) == {"a.png": ("one",), "b.png": ("t\rw\r\no",), "c.png": ("three",)}


def test_json_values_of_unusable_types_are_left_out_and_noted(read):
    table = """{"path": "0.png", "key": "0"}
{"path": "1.png", "text": null, "label": null, "key": "1"}
{"path": "2.png", "text": NaN, "texts": ["y", null], "label": "cat", "key": "2"}
{"path": "3.png", "text": 7, "texts": [true, "z"], "label": 0.93, "key": "3"}
{"path": "4.png", "text": {"en": "a"}, "label": ["cat", "dog"], "key": 4}
"""
    looked, rows = read(table, "t.jsonl")
    assert [(row.key, row.texts, row.label) for row in rows] == [
        ("0", (), ""),
        ("1", (), ""),
        ("2", ("y",), "cat"),
        ("3", ("z",), ""),
        ("4", (), ""),
    ]
    assert has_labels(looked)
    assert [row.notes for row in rows] == [
        (),
        (),
        (),
        ("'text' is a number, left out", "'texts' contains true or false, left out", "'label' is a number, left out"),
        ("'text' is an object, left out", "'label' is a list, left out"),
    ]


def test_a_list_of_texts_in_a_cell_follows_the_same_rules(read):
    _, rows = read('path,texts\na.png,"[""one"", null, 2]"\nb.png,null\nc.png,7\n')
    assert [(row.texts, row.notes) for row in rows] == [
        (("one",), ("'texts' contains a number, left out",)),
        ((), ()),
        ((), ("'texts' is a number, left out",)),
    ]


def test_json_lines_without_texts_are_refused_only_if_no_row_names_any(read):
    assert _texts(read('{"path": "a.png"}\n{"path": "b.png", "text": null}\n', "t.jsonl")[1]) == {
        "a.png": (),
        "b.png": (),
    }
    assert _texts(read('{"path": "a.png"}\n{"path": "b.png", "label": 7}\n', "t.jsonl")[1]) == {
        "a.png": (),
        "b.png": (),
    }
    with pytest.raises(
        SourceError, match=r"line 1: no 'text'; there are \['caption', 'path'\]; give its name as --text-column"
    ):
        read('{"path": "a.png", "caption": "one"}\n{"path": "b.png"}\n', "t.jsonl")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("t.csv", "file\x1b[31m\tx\x07,other\n1,2\n"),
        ("t.tsv", "path\ttext\x1b[31m\n1\t2\t3\n"),
        ("t.tsv", "file\x9b31m\ttext\n1\t2\n"),
        ("t.csv", 'path,text\n"a\tb",1\n"a\tb",2\n'),
        ("t.csv", 'path,texts\na,"[\t\x1b"\n'),
        ("t.jsonl", '{"fi\\u001ble\\t": "\x7f"}\n'),
        ("t.jsonl", '"\\u001b\\t"\n'),
        ("t.jsonl", '{"path": "1", "text\x7f\u202e": 7}\n'),
        ("t.jsonl", '{"path": ["\\u001b"], "text": 7}\n'),
        ("t.jsonl", "\x1b[31m\t\n"),
    ],
)
def test_messages_contain_no_control_characters(read, name, table):
    with pytest.raises(SourceError) as caught:
        read(table, name)
    assert str(caught.value).isprintable()


def test_messages_stay_short_whatever_the_header_contains(read):
    with pytest.raises(
        SourceError, match=r"there are \['a{56}\.\.\., 'x', .*'x', \.\.\.\]; give its name as --image-column"
    ) as caught:
        read("a" * 200_000 + ",x" * 10_000 + "\n")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        (
            "open_clip.csv",
            "filepath\ttitle",
            r"the line has no ',' but '\\t'; the table looks like tsv: read it with --so",
        ),
        (
            "euro.csv",
            "datei;titel",
            "the line has no ',' but ';'; the table looks like semicolon-csv: read it with --so",
        ),
        (
            "commas.tsv",
            "file,title",
            r"the line has no '\\t' but ','; the table looks like csv: read it with --source-for",
        ),
        (
            "flickr30k.csv",
            "image|comment_number|comment",
            r"the line has '\|' between its fields, which is not read: write",
        ),
        (
            "list.csv",
            "1.jpg",
            "the first line must name the columns, and '1.jpg' looks like an image: put a line of na",
        ),
        ("cc3m.tsv", "a dog\thttp://h/1", r"names before it, such as path\ttext$"),
    ],
)
def test_a_header_that_is_none_is_told_from_one_with_other_names(tmp_path, name, header, message):
    (tmp_path / name).write_text(f"{header}\n")
    with pytest.raises(SourceError, match=rf"line 1: no column 'path'; .*{message}"):
        look(tmp_path / name)
