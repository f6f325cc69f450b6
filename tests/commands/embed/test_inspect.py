"""`lit-embed inspect`: format, files, fields, rows and what looks wrong, on disk, by URL and as a page."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests import browser
from tests.flaky_server import flaky_server
from tests.pipelines.embed.making import run
from tests.precompute.sources.records.written import example, write_tfrecord


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Three images and a table with columns of other names, in the working folder."""
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((20, 30, 3), np.uint8)
    Image.fromarray(pixels).save("0.png")
    Image.fromarray(pixels).save("1.jpg")
    (tmp_path / "2.jpg").write_text("<html>")
    rows = [("0.png", "a dog", "T0", "7"), ("1.jpg", "a <b>cat</b>", "T1", "8"), ("2.jpg", "", "T2", "9")]
    lines = ["file\tcaption\ttitle\tclass", *("\t".join(row) for row in rows), "3.jpg\tgone\tT3\t9"]
    (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path / "t.tsv"


def _json(monkeypatch, capsys, *command, status=0):
    assert run(monkeypatch, "inspect", *command, "--json") == status
    return json.loads(capsys.readouterr().out)


def test_columns_that_are_not_named_are_shown_with_the_flags_to_give(table, monkeypatch, capsys):
    assert run(monkeypatch, "inspect", "t.tsv") == 2
    said = capsys.readouterr().out
    assert "format  tsv (by its name, t.tsv)" in said
    assert "  caption  a dog" in said
    assert "t.tsv, line 1: no column 'path'; there are ['file', 'caption', 'title', 'class']" in said
    assert "is 'file' ('0.png') the image? --image-column file" in said
    assert "the column 'caption' ('a dog') is not used: is it the text? --text-column caption" in said
    assert "the column 'class' ('7') is not used: is it the class? --label-column class" in said


def test_the_first_rows_are_those_that_would_be_embedded(table, monkeypatch, capsys):
    found = _json(monkeypatch, capsys, "t.tsv?image=file&text=caption", "--label-column", "class", "--rows", "4")
    assert (found["num_files"], found["num_bytes"], found["files"]) == (1, table.stat().st_size, ["t.tsv"])
    assert (found["num_rows"], found["is_exact"], found["num_sampled"]) == (4, True, 4)
    assert found["fields"] == {"file": "0.png", "caption": "a dog", "title": "T0", "class": "7"}
    first, second, third, fourth = found["rows"]
    assert (first["key"], first["texts"], first["label"]) == ("0.png", ["a dog"], "7")
    assert {name: first["image"][name] for name in ("format", "width", "height", "num_bytes")} == {
        "format": "PNG",
        "width": 30,
        "height": 20,
        "num_bytes": table.with_name("0.png").stat().st_size,
    }
    assert second["image"]["format"] == "JPEG"
    assert (third["texts"], third["image"]["reason"], fourth["image"]["reason"]) == ([], "not-a-picture", "missing")
    assert found["oddities"][:2] == [
        "the column 'title' ('T0') is not used: --named-text title=title keeps it beside the texts",
        "rows without a text: 1 of the 4 rows read",
    ]
    assert found["oddities"][2].startswith("2 of 4 images cannot be used (not-a-picture: 1, missing: 1); '2.jpg': ")


def test_repeated_keys_and_values_that_are_left_out(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.jsonl").write_text(
        '{"path": "1.png", "text": 7, "id": 1}\n{"path": "1.png", "text": "a", "id": 2}\n'
    )
    found = _json(monkeypatch, capsys, tmp_path / "t.jsonl", "--rows", "0")
    assert found["rows"] == []
    assert "keys repeat, and there is a column 'id' ('1'): --key-column id" in found["oddities"]
    assert any(
        "the key '1.png' is that of 2 rows of the 2 rows read: put all texts" in odd for odd in found["oddities"]
    )
    assert "'text' is a number, left out: 1 of the 2 rows read" in found["oddities"]
    assert len(_json(monkeypatch, capsys, tmp_path / "t.jsonl", "--gather")["rows"]) == 1


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_rows_are_estimated_from_the_first_and_the_sizes_of_all_files(tmp_path, monkeypatch, capsys, compress):
    ending = "csv" if compress(b"") == b"" else "csv.gz"
    for number in range(5):
        rows = "".join(f"{number}/{row:05d}.jpg,the text of {row:05d}\n" for row in range(3000))
        (tmp_path / f"{number}.{ending}").write_bytes(compress(b"path,text\n" + rows.encode()))
    opened = []
    monkeypatch.setattr("pathlib.Path.open", _recording(opened))
    found = _json(monkeypatch, capsys, tmp_path, "--rows", "0")
    assert (found["format"], found["recognised"]) == ("csv", "by the files in it")
    assert (found["num_files"], found["num_sampled"], found["is_exact"]) == (5, 1000, False)
    assert abs(found["num_rows"] - 15_000) < 300
    assert {path.name for path in opened if path.parent == tmp_path} == {f"0.{ending}"}


def _recording(opened):
    from pathlib import Path

    really_open = Path.open

    def open_and_note(self, *given, **more):
        opened.append(self)
        return really_open(self, *given, **more)

    return open_and_note


def test_a_url_is_inspected_without_reading_all_of_it(table, monkeypatch, capsys):
    image = table.with_name("0.png").read_bytes()
    rows = "".join(f"{number}.png,the text of {number}\n" for number in range(400_000))
    with flaky_server() as server:
        server.contents |= {"/t.csv": f"path,text\n{rows}".encode(), "/0.png": image}
        found = _json(monkeypatch, capsys, f"{server.address}/t.csv", "--rows", "1")
    assert found["rows"][0]["image"]["width"] == 30
    assert 300_000 < found["num_rows"] < 500_000
    assert {place for _, place, _ in server.asked} == {"/t.csv", "/0.png"}


def test_the_sheet_shows_images_texts_and_faults(table, monkeypatch, capsys, tmp_path):
    settings = ("--image-column", "file", "--text-column", "caption", "--label-column", "class")
    assert run(monkeypatch, "inspect", "t.tsv", *settings, "--sheet", "sheet.html") == 0
    assert "sheet.html: 4 rows with their images" in capsys.readouterr().out
    page = (tmp_path / "sheet.html").read_text()
    assert page.count('<img class="image" src="data:image/jpeg;base64,') == 2
    assert "a &lt;b&gt;cat&lt;/b&gt;" in page and "<b>" not in page and "<script" not in page
    assert "no known image format begins with" in page
    browser.require()
    script = """return {overflow: document.documentElement.scrollWidth > window.innerWidth,
      widths: [...document.images].map(image => image.naturalWidth),
      cards: document.querySelectorAll("ol > li").length}"""
    (tmp_path / "browser").mkdir()
    measured = browser.measure(page, script, (320, 1200), tmp_path / "browser")
    assert set(map(str, measured.values())) == {"{'overflow': False, 'widths': [30, 30], 'cards': 4}"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("gone.csv",), r"gone.csv: cannot be opened"),
        (("x.xyz",), "x.xyz: no such file or folder; check the path"),
        (("t.tsv?imag=file",), "unknown name 'imag'"),
        (("t.tsv?text=a", "--text-column", "b"), "text is 'a', but 'b' by --text-column: give it once"),
        (("t.tsv", "--sheet", "sheet.png"), "--sheet must end in .html, got 'sheet.png'"),
        (("t.tsv", "--sheet", "gs://b/s.html"), "--sheet gs://b/s.html: must be a local path"),
        (("t.tsv", "--rows", "-1"), "--rows must be >= 0, got -1"),
        (("t.tsv", "--runner", "X"), "--runner"),
    ],
)
def test_mistakes_are_one_message(table, monkeypatch, capsys, command, message):
    assert run(monkeypatch, "inspect", *command) == 2
    assert message in capsys.readouterr().err


def _write_images(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)


def test_folders_are_counted_as_such_and_an_empty_one_is_nothing_odd(tmp_path, monkeypatch, capsys):
    _write_images(tmp_path, ["0.png", "a/1.png"])
    for name in ("0.txt", "a/1.txt"):
        (tmp_path / name).write_text("words")
    (tmp_path / "b").mkdir()
    assert run(monkeypatch, "inspect", tmp_path) == 0
    said = capsys.readouterr().out
    assert "files   3 folders: " in said and "rows    2\n" in said and "nothing looks wrong" in said


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (
            ["train/cat/0.png", "train/dog/0.png", "val/cat/0.png"],
            "give {here}/train with --source-format class-folders",
        ),
        (["cat/0.png", "cat/1.png", "dog/big/0.png"], "give --source-format class-folders"),
    ],
)
def test_folders_that_may_be_classes_are_told(tmp_path, monkeypatch, capsys, names, advice):
    _write_images(tmp_path, names)
    (tmp_path / "README.md").touch()
    found = _json(monkeypatch, capsys, tmp_path)
    assert found["format"] == "folder"
    assert f"if these are classes, {advice.format(here=tmp_path)}" in found["oddities"][0]


def test_a_table_without_rows_is_odd(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text("path,text\n")
    assert _json(monkeypatch, capsys, tmp_path / "t.csv", status=2)["oddities"] == ["no rows"]


def test_a_source_of_which_no_row_can_be_read_ends_with_2(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.tar").write_bytes(b"not a tar" * 100)
    assert run(monkeypatch, "inspect", tmp_path / "t.tar") == 2
    said = capsys.readouterr()
    assert "files   1 tar, " in said.out and "look at this" in said.out
    assert f"error: {tmp_path}/t.tar: no row can be read" in said.err


def test_a_row_in_place_of_the_header_is_not_taken_for_names(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text("0.png,a dog\n1.png,a cat\n")
    (fault,) = _json(monkeypatch, capsys, tmp_path / "t.csv", status=2)["oddities"]
    assert "'0.png' looks like an image: put a line of names before it, such as path,text" in fault


def test_addresses_without_a_suffix_are_images(tmp_path, monkeypatch, capsys):
    """As LAION's tables have them."""
    pq.write_table(pa.table({"URL": ["http://h/0?w=1"], "TEXT": ["a dog"]}), tmp_path / "t.parquet")
    oddities = _json(monkeypatch, capsys, tmp_path / "t.parquet", status=2)["oddities"]
    assert "no images are named: is 'URL' ('http://h/0?w=1') the image? --image-column URL" in oddities


def test_values_of_arrow_and_of_records_are_shown(tmp_path, monkeypatch, capsys):
    with pa.ipc.new_file(tmp_path / "t.arrow", pa.schema({"img": pa.binary(), "caption": pa.string()})) as writer:
        writer.write_batch(pa.record_batch({"img": [b"\xff"], "caption": ["ein Wörtchen"]}))
    found = _json(monkeypatch, capsys, tmp_path / "t.arrow", status=2)
    assert found["fields"] == {"img": "binary", "caption": "ein Wörtchen"}
    features = {"picture": b"\xff\xd8", "words": ["a dog", "a pet"], "number": 7}
    write_tfrecord(tmp_path / "t.tfrecord", [example(features)])
    found = _json(monkeypatch, capsys, tmp_path / "t.tfrecord", status=2)
    assert found["fields"] == {"number": "7", "picture": "2 bytes", "words": "['a dog', 'a pet']"}
    assert "no images are named: is 'picture' ('2 bytes') the image? --image-column picture" in found["oddities"]
