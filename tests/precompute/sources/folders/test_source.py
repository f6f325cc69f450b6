import json
import os
import pathlib
import pickle

import fsspec
import pytest

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.opening import recognise_source
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns, SourceSpec
from tests.precompute.sources.looked import LookedSource, has_labels, look, num_rows, rows_of


def _put(folder: pathlib.Path, files: dict[str, str | bytes]) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


def _rows(looked: LookedSource, rows_per_unit: int = 1000) -> list[tuple[str, tuple[str, ...], str]]:
    return [(row.key, row.texts, row.label) for row in rows_of(looked, rows_per_unit)]


def _notes(looked: LookedSource) -> dict[str, tuple[int, str]]:
    return {note.what: (note.count, note.first) for each in looked.looks for note in each.notes}


def _fault(read) -> tuple[str, str] | None:
    try:
        read()
    except ImageError as error:
        return error.reason, error.message
    return None


PAIRS = {
    "b.jpg": b"B",
    "b.txt": "a line\n\n another line \r\n",
    "a.PNG": b"A",
    "a.txt": "ä",
    "sub/deep/c.jpeg": b"C",
    "sub/deep/c.TXT": "c",
    "sub-2/d.webp": b"D",
    "sub/d.gif": b"E",
}


@pytest.mark.parametrize("place", ["here", "store"])
@pytest.mark.parametrize("rows_per_unit", [1, 2, 1000])
def test_images_with_texts_beside_them(tmp_path, place, rows_per_unit):
    path = _put(tmp_path, PAIRS)
    if place == "store":
        path = f"memory:/{tmp_path}"
        for name in PAIRS:
            fsspec.filesystem("memory").pipe_file(f"{path}/{name}", (tmp_path / name).read_bytes())
    looked = look(path, rows_per_unit=rows_per_unit)
    rows = {row.key: row for row in rows_of(looked, rows_per_unit)}
    assert {key: (row.read_image(), row.texts) for key, row in rows.items()} == {
        "a.PNG": (b"A", ("ä",)),
        "b.jpg": (b"B", ("a line", "another line")),
        "sub-2/d.webp": (b"D", ()),
        "sub/d.gif": (b"E", ()),
        "sub/deep/c.jpeg": (b"C", ("c",)),
    }
    assert rows["sub/d.gif"].source == f"{path}/sub/d.gif"
    assert looked.survey.extent == "3 folders"
    assert not has_labels(looked)
    assert _notes(looked) == {"image without a text beside it, embedded without texts": (1, "sub/d.gif")}
    keys = [key for each in looked.looks for part in each.slices for key, _ in looked.source.keys(part)]
    assert keys == [key for key, *_ in _rows(looked)]
    assert all(len(looked.source.look(file, 2).key_hashes) % 8 == 0 for file in looked.files)


def test_what_img2dataset_writes_as_files(tmp_path):
    """A text and JSON of one name; captions that are no string are written by `str`."""
    files: dict[str, str | bytes] = {"00000.parquet": b"", "00000_stats.json": "{}"}
    for number, caption in enumerate(["a cat", ["two", "texts"], float("nan"), None]):
        name = f"00000/00000000{number}"
        meta = json.dumps({"caption": caption, "key": str(number), "label": "x", "title": f"T{number}"})
        files |= {f"{name}.jpg": b"i", f"{name}.txt": "" if caption is None else str(caption), f"{name}.json": meta}
    path = _put(tmp_path, files)
    looked = look(path, format="folder", columns=SourceColumns(named=("title=title",)))
    texts = [("a cat",), ("two", "texts"), (), ()]
    assert _rows(looked) == [(f"00000/00000000{number}.jpg", each, "") for number, each in enumerate(texts)]
    rows = rows_of(looked)
    assert [row.named for row in rows] == [{"title": (f"T{number}",)} for number in range(4)]
    assert rows[0].notes == ("label in JSON, left out; name its key as --label-column",)
    assert _notes(looked) == {
        "file of another kind, left out": (1, "00000.parquet"),
        "text without an image, left out": (1, "00000_stats.json"),
    }


def test_labels_in_cls_and_in_json(tmp_path):
    files: dict[str, str | bytes] = {
        "1.jpg": b"i",
        "1.cls": "cat\n",
        "2.jpg": b"i",
        "2.json": '{"class": 3}',
        "3.jpg": b"i",
    }
    path = _put(tmp_path, files)
    looked = look(path, columns=SourceColumns(label="class"))
    assert has_labels(looked)
    assert _rows(looked) == [("1.jpg", (), "cat"), ("2.jpg", (), "3"), ("3.jpg", (), "")]


@pytest.mark.parametrize("place", ["here", "store"])
def test_class_folders(tmp_path, place):
    names = ["ox/1.jpg", "ox/more/2.JPEG", "a cat/1.jpg"]
    path = _put(tmp_path, {name: name for name in names})
    if place == "store":
        path = f"memory:/{tmp_path}"
        for name in names:
            fsspec.filesystem("memory").pipe_file(f"{path}/{name}", name.encode())
    looked = look(path, format="class-folders")
    rows = [("a cat/1.jpg", (), "a cat"), ("ox/1.jpg", (), "ox"), ("ox/more/2.JPEG", (), "ox")]
    assert _rows(looked) == rows
    assert [row.read_image().decode() for row in rows_of(looked)] == [key for key, *_ in rows]
    assert looked.survey.extent == "2 class folders"
    assert looked.source.kind == "class-folders"


def test_an_image_outside_the_class_folders_has_no_label(tmp_path):
    looked = look(_put(tmp_path, {"ox/1.jpg": b"i", "0.jpg": b"i"}), format="class-folders")
    assert _rows(looked) == [("0.jpg", (), ""), ("ox/1.jpg", (), "ox")]
    assert rows_of(looked)[0].notes == ("image outside the class folders, without a label",)


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (["1.jpg", "2.jpg"], "folder"),
        (["1.JPEG", "x/2.jpg", "y/3.jpg"], "folder"),
        (["x/1.jpg", "y/2.jpg"], "class-folders"),
        (["x/1.jpg", "y/2.jpg", ".DS_Store", "x/Thumbs.db", "__MACOSX/x/1.jpg"], "class-folders"),
        (["x/1.jpg"], "folder"),
        (["x/1.jpg", "x/1.txt", "y/2.jpg"], "folder"),
        (["x/1.jpg", "y/2.jpg", "README.txt"], "folder"),
        (["train/x/1.jpg", "val/x/1.jpg"], "folder"),
        (["x/1.jpg", "y/z/1.jpg"], "folder"),
        (["1.jpg", "a.tfrecord"], "tfrecord"),
        (["1.jpg", "a.csv"], "csv"),
        (["1.jpg", "a.tar"], "webdataset"),
    ],
)
def test_recognised_where_nothing_else_can_be_meant(tmp_path, names, format):
    path = _put(tmp_path, dict.fromkeys(names, b""))
    assert recognise_source(SourceSpec(path)).name == format


@pytest.mark.parametrize("names", [["a.txt"], ["x/a.txt"], [".hidden.jpg"]])
def test_a_folder_without_images_is_none(tmp_path, names):
    path = _put(tmp_path, dict.fromkeys(names, b""))
    with pytest.raises(
        SourceError, match=r"unknown format; a source is .* a folder of images|the folder is empty; hidden"
    ):
        recognise_source(SourceSpec(path))


def test_everything_left_out_is_counted(tmp_path):
    files = {
        "1.jpg": b"i",
        ".hidden.jpg": b"i",
        ".cache/2.jpg": b"i",
        "Thumbs.db": b"",
        "notes.pdf": b"",
        "x/.DS_Store": b"",
        "x/__MACOSX/._1.jpg": b"",
        "x/lonely.txt": "",
        "x/2.jpg": b"i",
        "no_suffix": b"",
        "jpg": b"",
    }
    _put(tmp_path, files)
    (tmp_path / "x" / "again").symlink_to(tmp_path)
    looked = look(tmp_path)
    assert [key for key, *_ in _rows(looked)] == ["1.jpg", "x/2.jpg"]
    assert _notes(looked) == {
        "hidden file, or one of the system, left out": (2, "x/.DS_Store"),
        "file of another kind, left out": (3, "jpg"),
        "hidden folder, or one of the system, left out": (1, ".cache"),
        "text without an image, left out": (1, "x/lonely.txt"),
        "link to a folder that it is in, left out": (1, "x/again"),
    }


def test_links_are_followed(tmp_path):
    _put(tmp_path / "data", {"1.jpg": b"one"})
    root = tmp_path / "root"
    (root / "x").mkdir(parents=True)
    (root / "x" / "linked").symlink_to(tmp_path / "data")
    (root / "2.jpg").symlink_to(tmp_path / "data" / "1.jpg")
    (root / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (root / "itself.jpg").symlink_to(root / "itself.jpg")
    rows = {row.key: row for row in rows_of(look(root))}
    assert list(rows) == ["2.jpg", "broken.jpg", "itself.jpg", "x/linked/1.jpg"]
    assert rows["2.jpg"].read_image() == rows["x/linked/1.jpg"].read_image() == b"one"
    assert _fault(rows["broken.jpg"].read_image) == ("missing", f"no such file: {root}/broken.jpg")
    assert (_fault(rows["itself.jpg"].read_image) or ("",))[0] == "unreadable"


def test_two_images_of_one_stem_are_two_rows_with_the_same_texts(tmp_path):
    looked = look(_put(tmp_path, {"a.jpg": b"j", "a.png": b"p", "a.txt": "t"}))
    assert _rows(looked) == [("a.jpg", ("t",), ""), ("a.png", ("t",), "")]


def test_images_are_chosen_by_suffix(tmp_path):
    files = {"a.left.png": b"l", "a.right.png": b"r", "a.txt": "t", "b.jpg": b"j"}
    looked = look(_put(tmp_path, files), columns=SourceColumns(image="left.png"))
    assert _rows(looked) == [("a.left.png", ("t",), "")]
    assert _notes(looked)["file of another kind, left out"] == (2, "a.right.png")


def test_names_that_are_not_utf_8_keep_their_rows(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    _put(tmp_path, {name: b"i", os.fsdecode(b"caf\xe9.txt"): "t"})
    (row,) = rows_of(look(tmp_path))
    assert (row.key, row.texts, row.read_image()) == (r"caf\xe9.jpg", ("t",), b"i")
    row.source.encode()
    pickle.dumps(row)
    (tmp_path / os.fsdecode(b"x\xff")).mkdir()
    with pytest.raises(SourceError, match=r"the name of the folder x\\xff is not UTF-8; rename it"):
        look(tmp_path)


def test_odd_names_are_names(tmp_path):
    names = ["a [1]{x}*?.jpg", "b\nc.jpg", "%20.jpg", "#.jpg", "ü" * 80 + ".jpg"]
    _put(tmp_path / "in [x]", {name: name for name in names})
    rows = rows_of(look(tmp_path / "in [x]"))
    assert sorted(row.key for row in rows) == sorted(names)
    assert [row.read_image().decode() for row in rows] == [row.key for row in rows]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", b"caf\xe9", ("unreadable", "a.txt: not UTF-8 at byte 3")),
        ("a.cls", b"\xff", ("unreadable", "a.cls: not UTF-8 at byte 0")),
        ("a.txt", b" " * (17 << 20), ("unreadable", "a.txt: a text of over 16 MiB")),
        ("a.json", b"{", None),
        ("a.json", b"[1]", None),
        ("a.json", b"\xff", None),
    ],
)
def test_an_unusable_text_fails_its_row_and_json_loses_its_words(tmp_path, name, content, fault):
    (row,) = rows_of(look(_put(tmp_path, {"a.jpg": b"i", name: content})))
    found = _fault(row.read_image)
    assert found == (fault and (fault[0], f"{tmp_path}/{fault[1]}"))
    assert fault is not None or (len(row.notes) == 1 and row.notes[0].startswith("JSON that "))


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "text"])
def test_a_folder_that_has_changed_since_the_look_is_an_error(tmp_path, change):
    _put(tmp_path, {"1.jpg": b"i", "2.jpg": b"i", "2.txt": "t", "3.jpg": b"i"})
    looked = look(tmp_path, rows_per_unit=1)
    if change == "added":
        (tmp_path / "0.jpg").write_bytes(b"i")
    elif change == "removed":
        (tmp_path / "1.jpg").unlink()
    elif change == "renamed":
        (tmp_path / "1.jpg").rename(tmp_path / "4.jpg")
    else:
        (tmp_path / "3.txt").write_text("t")
    with pytest.raises(SourceError, match="files were added, removed or renamed since the job was planned"):
        rows_of(looked, 1)


@pytest.mark.parametrize(
    ("files", "columns", "message"),
    [
        ({}, {}, "no such folder, or nothing in it"),
        ({"a.txt": "t"}, {}, r"no images in 1 folder; their names must end in .jpg, .jpeg"),
        ({"a.jpg": "t"}, {"image": "left.png"}, r"their names must end in .left.png"),
        ({"a.jpg": "t"}, {"key": "id"}, "a key column 'id' is for tables and records"),
    ],
)
def test_what_cannot_be_a_source_is_refused(tmp_path, files, columns, message):
    with pytest.raises(SourceError, match=message):
        look(_put(tmp_path, files), format="folder", columns=SourceColumns(**columns))


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match=r"/file.?: cannot be listed \(Not a directory\)"):
        look(tmp_path / "file", format="folder")
    with pytest.raises(SourceError, match=r"/nowhere.?: cannot be listed \(No such file or directory\)"):
        look(tmp_path / "nowhere", format="folder")


def test_a_look_lists_and_reads_no_file(tmp_path):
    _put(tmp_path, {"1.jpg": b"i", "1.txt": "t"})

    def no_opener(path: str):
        raise AssertionError(path)

    assert num_rows(look(tmp_path, opener=no_opener)) == 1


def test_slices_list_a_folder_once(tmp_path, monkeypatch):
    _put(tmp_path, {f"{number}.jpg": b"i" for number in range(40)})
    looked = look(tmp_path, rows_per_unit=2)
    listed: list[str] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scan(path))
    assert len(rows_of(looked, 2)) == 40
    assert sum(path.startswith(str(tmp_path)) for path in listed) == 1
