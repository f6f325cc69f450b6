import csv
import dataclasses
import gzip
import hashlib
import io
import json
import pathlib
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.looking import LookedSource
from lit_precompute.precompute.sources.planning import check_repeats
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.schemas.storage import open_file
from tests.precompute.sources.looked import has_labels, look, num_rows, read_unit, rows_of


def _write(folder: pathlib.Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def _rows(looked: LookedSource) -> list[tuple[str, tuple[str, ...], str]]:
    return [(row.key, row.texts, row.label) for row in rows_of(looked)]


def test_csv_tsv_and_jsonl_give_the_same_rows(tmp_path):
    expected = [("a/1.jpg", ("a dog", 'says, "hi"\nloudly'), "dog"), ("2.png", ("żółw",), "turtle")]
    table = _write(
        tmp_path, "t.csv", 'path,text,text,label\na/1.jpg,a dog,"says, ""hi""\nloudly",dog\n2.png,,żółw,turtle\n'
    )
    quoted = pathlib.Path(table).read_text("utf-8").replace(",", "\t").replace("says\t", "says,")
    quoted_tsv = _write(tmp_path, "t.tsv", quoted)
    lines = [
        {"path": "a/1.jpg", "texts": ["a dog", 'says, "hi"\nloudly'], "label": "dog"},
        {"path": "2.png", "text": "żółw", "texts": [""], "label": "turtle", "url": 3},
    ]
    jsonl = _write(tmp_path, "t.jsonl", "\n".join(json.dumps(line) for line in lines))
    for path, format in ((table, None), (quoted_tsv, "quoted-tsv"), (jsonl, None)):
        looked = look(path, format=format)
        assert _rows(looked) == expected
        assert (num_rows(looked), has_labels(looked)) == (2, True)


def test_numbered_text_columns_and_a_list_in_a_cell(tmp_path):
    path = _write(tmp_path, "t.tsv", 'path\ttext_1\ttext_2\ttexts\n1.jpg\tone\ttwo\t["three", "four"]\n2.jpg\tx\t\t\n')
    assert _rows(look(path)) == [("1.jpg", ("one", "two", "three", "four"), ""), ("2.jpg", ("x",), "")]


def test_columns_are_chosen_by_name(tmp_path):
    columns = SourceColumns(image="file", text="caption", label="class", key="id")
    path = _write(tmp_path, "t.csv", "id,file,caption,class,path\n7,1.jpg,one,cat,unused\n8,1.jpg,two,,unused\n")
    looked = look(path, columns=columns)
    assert _rows(looked) == [("7", ("one",), "cat"), ("8", ("two",), "")]
    assert [row.source for row in rows_of(looked)] == [str(tmp_path / "1.jpg")] * 2
    line = '{"id": 7, "file": "1.jpg", "caption": ["one"], "class": 3}\n'
    assert _rows(look(_write(tmp_path, "t.jsonl", line), columns=columns)) == [("7", ("one",), "3")]


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl"])
def test_byte_order_marks_windows_line_ends_and_blank_lines(tmp_path, format):
    if format == "jsonl":
        lines = ['{"path": "1.jpg", "text": "one"}', "", '{"path": "2.jpg", "text": "two"}', ""]
    else:
        lines = [
            line.replace(",", {"csv": ",", "tsv": "\t"}[format])
            for line in ("path,text", "1.jpg,one", "", "2.jpg,two", "")
        ]
    path = _write(tmp_path, f"t.{format}", b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert _rows(look(path)) == [("1.jpg", ("one",), ""), ("2.jpg", ("two",), "")] == _rows(look(path, rows_per_unit=1))


def test_a_given_format_and_a_path_with_a_scheme(tmp_path):
    path = _write(tmp_path, "captions.txt", "path,text\n1.jpg,one\n")
    (tmp_path / "1.jpg").write_bytes(b"bytes")
    assert _rows(look(path, format="csv")) == [("1.jpg", ("one",), "")]
    (row,) = rows_of(look(f"file://{path}", format="csv"))
    assert row.source == f"file://{tmp_path}/1.jpg"
    assert row.read_image() == b"bytes"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=30),
    rows_per_shard=st.integers(1, 12),
    format=st.sampled_from(["csv", "quoted-tsv", "jsonl"]),
)
def test_units_are_consecutive_slices_of_the_table(tmp_path_factory, rows, rows_per_shard, format):
    path = tmp_path_factory.mktemp("table") / f"t.{format}"
    with path.open("w", encoding="utf-8", newline="") as stream:
        if format == "jsonl":
            stream.writelines(
                json.dumps({"path": f"{i}.jpg", "text": text, "label": label}) + "\n"
                for i, (text, label) in enumerate(rows)
            )
        else:
            writer = csv.writer(stream, delimiter="," if format == "csv" else "\t", quoting=csv.QUOTE_ALL)
            writer.writerow(["path", "text", "label"])
            writer.writerows((f"{i}.jpg", text, label) for i, (text, label) in enumerate(rows))
    looked = look(path, format=format, rows_per_unit=rows_per_shard)
    units = looked.units(rows_per_shard)
    assert [unit.number for unit in units] == list(range(len(units)))
    assert [unit.first_row for unit in units] == list(range(0, len(rows), rows_per_shard))
    assert all(unit.num_rows == rows_per_shard for unit in units[:-1])
    worker = pickle.loads(pickle.dumps(looked))
    read = [read_unit(worker, unit) for unit in pickle.loads(pickle.dumps(units))]
    assert [len(part) for part in read] == [unit.num_rows for unit in units]
    expected = [(f"{i}.jpg", (text,) if text else (), label) for i, (text, label) in enumerate(rows)]
    assert [(row.key, row.texts, row.label) for part in read for row in part] == expected
    assert has_labels(looked) == any(label for _, label in rows)


def test_pickled_sources_and_units_are_small_and_read_only_their_part(tmp_path):
    path = _write(tmp_path, "t.csv", "path,text\n" + "".join(f"{i}.jpg,text {i}\n" for i in range(20_000)))
    sizes = []

    class Counting(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            sizes.append(len(data))
            return data

    looked = look(path)
    assert len(pickle.dumps(looked.source)) < 2000
    assert max(len(pickle.dumps(unit)) for unit in looked.units(1000)) < 1000
    counted = dataclasses.replace(looked, source=dataclasses.replace(looked.source, opener=Counting))
    assert len(read_unit(counted, looked.units(1000)[7])) == 1000
    assert sum(sizes) < pathlib.Path(path).stat().st_size / 15


def test_info_identifies_the_table(tmp_path):
    content = b"path,text\n1.jpg,one\n"
    path = _write(tmp_path, "t.csv", content)
    looked = look(path)
    (file,), (found,) = looked.files, looked.looks
    assert (looked.source.kind, looked.source.path) == ("table", path)
    assert (file.path, file.num_bytes) == (found.path, found.num_bytes) == (path, len(content))
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    columns = {"image": "path", "text": "text", "texts": "texts", "label": "label", "key": "key"}
    assert looked.source.options == {"format": "csv", "columns": columns}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", r"t.csv: empty; the first line must name the columns, 'path' among them"),
        ("t.csv", "path,text\n", r"t.csv: no rows"),
        ("t.jsonl", "\n\n", r"t.jsonl: no rows"),
        (
            "t.csv",
            "file,text\n1,2\n",
            r"line 1: no column 'path'; there are \['file', 'text'\]; give its name as --image-column",
        ),
        (
            "t.csv",
            "path,caption\n1,2\n",
            r"line 1: no 'text'; there are \['path', 'caption'\]; give its name as --text-column",
        ),
        ("t.csv", "path,path,text\n1,2,3\n", r"line 1: column 'path' occurs 2 times; only 'text' may repeat"),
        (
            "t.csv",
            "path,text\n1,2\n3,4,5\n",
            r"line 3: the header has 2 fields, this row 3; quote a field that contains ','",
        ),
        ("t.tsv", "path\ttext\n1\ta\n\n2\n", r"line 4: the header has 2 fields, this row 1"),
        ("t.csv", "path,text\n1,a\n ,b\n", r"line 3: 'path' must be the path of an image, got ' '"),
        (
            "t.csv",
            "path,text\n1,a\n2,b\n1,c\n",
            r"line 4: keys must be unique, '1' was first seen at .*line 2; put all",
        ),
        ("t.csv", "path,text,key\n1,a,x\n2,b,\n", r"line 3: column 'key' is empty"),
        ("t.csv", "path,text,key\n1,a,x\n2,b,x\n", r"line 3: keys must be unique, 'x' was first seen at .*line 2"),
        (
            "t.csv",
            'path,text\n1,"a\n2,b\n3,c\n',
            r"line 2: a quoted field begins here and does not end; quote fields as",
        ),
        ("t.csv", 'path,text\n1,"a"b\n', r"line 2: ',' expected after '\"'"),
        ("t.csv", b"path,text\n1,\xff\xfe\n", r"line 2: not UTF-8 at byte 2 of the line; save the table as UTF-8"),
        ("t.csv", "path,text,texts\n1,a,[1\n", r"line 2: not JSON: .* in '\[1'"),
        (
            "t.jsonl",
            '{"path": "1", "text": "a"}\n[1]\n',
            r"line 2: must be a JSON object, got \[1\]; a .jsonl table has one JSON object a line$",
        ),
        ("t.jsonl", '{"path": "1", "text": "a"}\n{"path"\n', r"line 2: not JSON: .*one JSON object a line$"),
        ("t.jsonl", '[\n  {\n    "path": "1"', r"line 1: not JSON: .*one JSON object a line$"),
        (
            "t.jsonl",
            '{"path":"0","text":"x"}\n{"path":"1.png","path":"2.png","text":"a","text":"b"}\n',
            r"line 2: the key 'path' is repeated; give each key once \(several texts: as a list\)$",
        ),
        ("t.jsonl", '{"path":"1","text":"a","k\\u0031":0,"k1":0}\n', r"line 1: the key 'k1' is repeated"),
        (
            "t.jsonl",
            f'{{"path":"1","text":"a","n":{"7" * 5000}}}',
            r"line 1: JSON with a number of over 4,300 digits, '{",
        ),
        ("t.jsonl", '{"path":"1","n":' + "[" * 100_000, r"line 1: JSON that is nested too deeply, '{"),
        (
            "t.jsonl",
            '{"path":"1","text":"a"}\n'.encode("utf-16-le"),
            r"line 1: a NUL character: not UTF-8 \(UTF-16\?\); save",
        ),
        ("t.csv", "path,text\n1,a\n".encode("utf-16-le"), r"line 1: a NUL character: not UTF-8 \(UTF-16\?\); save"),
        ("t.tsv", "path\ttext\n1\ta\n".encode("utf-16-be"), r"line 1: a NUL character: not UTF-8 \(UTF-16\?\); save"),
        (
            "t.csv",
            b"PK\x03\x04\x14\x00\x06",
            r"t.csv: a zip file, not a table of text \(an Excel workbook is one, too: save it",
        ),
        (
            "t.jsonl",
            gzip.compress(b"{}", mtime=0),
            r"t.jsonl: a gzip file, not a table of text; extract the table first$",
        ),
        (
            "t.csv",
            "path,text\n1.png,a\n2.png;a\n",
            r"line 3: .* this row 1; the row has no ',' but ';': separate fields as the header does$",
        ),
        ("t.tsv", "path\ttext\n1.png,a\n", r"line 2: .* this row 1; the row has no '\\t' but ',': separate fields"),
        (
            "t.csv",
            'path,text\n1.png, "a, b"\n',
            r"line 2: .* this row 3; a space before a quote makes the quote part of the text: remove that space$",
        ),
        (
            "t.jsonl",
            '{"file": "1", "text": "a"}\n',
            r"line 1: no key 'path'; there are \['file', 'text'\]; give its name as --image-column",
        ),
        ("t.jsonl", '{"path": "1", "caption": "a"}\n', r"line 1: no 'text'; there are \['caption', 'path'\]"),
        ("t.jsonl", '{"path": 7, "text": "a"}\n', r"line 1: 'path' must be the path of an image, got 7"),
        ("t.jsonl", '{"path": "1", "text": "a", "key": ""}\n', r"line 1: key 'key' is empty"),
        ("t.jsonl", '{"path": "1\\ud83d", "text": "a"}\n', r"line 1: 'path' must not contain half a surrogate pair"),
        ("t.jsonl", '{"path": null, "text": "a"}\n', r"line 1: 'path' must be the path of an image, got None"),
        ("t.jsonl", '{"path": "1", "text": "a", "key": 0.5}\n', r"line 1: 'key' must be a string or a whole number"),
        ("t.xml", "", r"t.xml: unknown format; a source is .*a .csv, .tsv or .jsonl table"),
    ],
)
def test_errors_are_reported_before_any_work(tmp_path, name, content, message):
    path = _write(tmp_path, name, content)
    with pytest.raises(SourceError, match=message) as caught:
        look(path)
    assert str(caught.value).startswith(path)


def test_a_key_that_a_nested_object_repeats_loses_nothing_of_the_row(tmp_path):
    path = _write(
        tmp_path, "t.jsonl", '{"exif": {"a": 1, "a": 2}, "path": "1", "text": "a", "more": [{"b": 1, "b": 1}]}'
    )
    assert _rows(look(path)) == [("1", ("a",), "")]


def test_chosen_columns_must_exist(tmp_path):
    path = _write(tmp_path, "t.csv", "path,text,label\n1,a,b\n")
    for field in ("image", "text", "texts", "label", "key"):
        with pytest.raises(SourceError, match=r"line 1: no (column )?'other'; there are \['path', 'text', 'label'\]"):
            look(path, columns=SourceColumns(**{field: "other"}))
    with pytest.raises(SourceError, match="names must differ"):
        SourceColumns(text="path")


def test_a_missing_table_and_an_unknown_format(tmp_path):
    with pytest.raises(SourceError, match=r"gone.csv: cannot be opened \(No such file or directory\)"):
        look(str(tmp_path / "gone.csv"))
    with pytest.raises(
        SourceError, match=r"--source-format must be one of .*csv, tsv, jsonl, quoted-tsv, .*, got 'xml'"
    ):
        look(str(tmp_path / "gone.csv"), format="xml")


def test_a_table_that_changes_while_the_job_runs_is_an_error(tmp_path):
    path = _write(tmp_path, "t.csv", "path,text\n1,a\n2,b\n")
    looked = look(path)
    _write(tmp_path, "t.csv", "path,text\n1,abcdef\n")
    with pytest.raises(SourceError, match="had 2 rows when the job was planned and have 1 now"):
        rows_of(looked)


def test_images_are_read_on_request(tmp_path):
    (tmp_path / "here.jpg").write_bytes(b"image")
    (tmp_path / "folder").mkdir()
    outside = tmp_path.parent / f"{tmp_path.name}.jpg"
    outside.write_bytes(b"outside")
    names = ["here.jpg", str(outside), "gone.jpg", "folder", "here.jpg/inside", "x" * 300]
    rows = rows_of(look(_write(tmp_path, "t.csv", "path,text\n" + "".join(f"{name},text\n" for name in names))))
    assert [row.read_image() for row in rows[:2]] == [b"image", b"outside"]
    for row, reason in zip(rows[2:], ["missing", "unreadable", "missing", "unreadable"], strict=True):
        with pytest.raises(ImageError) as caught:
            row.read_image()
        assert caught.value.reason == reason
        assert row.key in str(caught.value)


def test_a_path_that_ends_in_a_space_is_shown_in_quotes(tmp_path):
    (row,) = rows_of(look(_write(tmp_path, "t.csv", "path,text\n1.png ,a\n")))
    with pytest.raises(ImageError) as caught:
        row.read_image()
    assert caught.value.message == f"no such file: '{tmp_path}/1.png '"


def test_errors_that_are_not_about_the_image_are_raised(tmp_path):
    def open_tables_alone(path: str):
        if path.endswith(".jpg"):
            raise ConnectionResetError(104, "Connection reset by peer")
        return open_file(path)

    (row,) = rows_of(look(_write(tmp_path, "t.csv", "path,text\n1.jpg,a\n"), opener=open_tables_alone))
    with pytest.raises(ConnectionResetError):
        row.read_image()


def test_different_keys_of_equal_hash_are_not_repetitions(tmp_path, monkeypatch):
    path = _write(tmp_path, "t.csv", "path,text\n1,a\n2,b\n3,c\n")
    suspects = []
    monkeypatch.setattr("lit_precompute.precompute.sources.looking.repeated_hashes", frozenset)
    monkeypatch.setattr(
        "lit_precompute.precompute.sources.looking.check_repeats",
        lambda *given: (suspects.append(1), check_repeats(*given)),
    )
    assert num_rows(look(path)) == 3
    assert suspects == [1]
