import decimal
import pathlib
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from tests.precompute.sources.columnar.reading import IMAGE, Found, examples, found, images, look, read, write


def test_images_in_structs_have_numbered_keys(tmp_path):
    path = write(tmp_path / "train-00000-of-00001.parquet", {"image": images(3), "text": ["a", None, ""]})
    expected = [
        Found("train-00000-of-00001/0", b"image 0", ("a",), ""),
        Found("train-00000-of-00001/1", b"image 1", (), ""),
        Found("train-00000-of-00001/2", b"image 2", (), ""),
    ]
    assert read(path) == expected == read(tmp_path) == read(f"{tmp_path}/*.parquet") == read(path, rows=1)
    assert look(path).survey.extent == "1 Parquet file, images in 'image', texts in 'text'"
    assert [row.source for row in examples(look(path))] == [f"{path}, row {number}" for number in range(3)]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.list_(pa.binary())])
def test_images_in_plain_bytes(tmp_path, kind):
    encoded = [[b"x"], None, [b"y"]] if pa.types.is_list(kind) else [b"x", None, b"y"]
    path = write(tmp_path / "a.parquet", {"jpg": pa.array(encoded, kind), "text": ["a", "b", "c"], "key": [7, 8, 9]})
    missing = Found("8", "missing: no image: 'jpg' is null", ("b",), "")
    assert read(path) == [Found("7", b"x", ("a",), ""), missing, Found("9", b"y", ("c",), "")]


def test_paths_and_urls_are_relative_to_the_files_folder(tmp_path):
    (tmp_path / "1.png").write_bytes(b"one")
    url = f"file://{tmp_path}/1.png"
    path = write(tmp_path / "a.parquet", {"path": ["1.png", url, None, "sub\\2.png"], "text": ["a"] * 4})
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/2.png").write_bytes(b"two")
    assert [(row.key, row.image) for row in read(path)] == [
        ("1.png", b"one"),
        (url, b"one"),
        ("a/2", "missing: no image: 'path' is null"),
        ("sub\\2.png", b"two"),
    ]


def test_an_image_without_bytes_is_read_from_its_path(tmp_path):
    (tmp_path / "1.png").write_bytes(b"one")
    encoded = pa.array([{"bytes": None, "path": "1.png"}, {"bytes": None, "path": None}, None], IMAGE)
    path = write(tmp_path / "a.parquet", {"image": encoded, "text": ["a", "b", "c"]})
    missing = "missing: no image: 'image' is null"
    assert [(row.key, row.image) for row in read(path)] == [("a/0", b"one"), ("a/1", missing), ("a/2", missing)]


def test_of_several_images_in_a_row_the_first_is_used_with_a_note(tmp_path):
    encoded = pa.array([[{"bytes": b"1"}, {"bytes": b"2"}], [], None], pa.list_(IMAGE))
    path = write(tmp_path / "a.parquet", {"images": encoded, "text": ["a", "b", "c"]})
    first, *others = examples(look(path))
    assert first.read_image() == b"1"
    assert first.notes == ("'images' has several images, only the first is used",)
    assert [found(row).image for row in others] == ["missing: no image: 'images' is null"] * 2


def test_texts_from_several_columns_lists_and_fields(tmp_path):
    path = write(
        tmp_path / "a.parquet",
        {
            "image": images(3),
            "text_1": pa.array(["a", "b", None]).dictionary_encode(),
            "text_2": pa.array(["c", None, "d"], pa.large_string()),
            "texts": [["e", None, ""], None, ["f", "g"]],
            "json": pa.array([{"caption": "h", "other": 1}, None, {"caption": None, "other": 2}]),
            "sentences": [[{"raw": "i"}, {"raw": "j"}], [], None],
        },
    )
    assert [row.texts for row in read(path)] == [("a", "c", "e"), ("b",), ("d", "f", "g")]
    named = SourceColumns(text="json.caption", texts="sentences.raw", named=("title=text_1", "all=sentences.raw"))
    looked = look(path, columns=named)
    assert [column.name for column in looked.survey.tables[0].columns] == ["key", "texts", "title", "all"]
    assert [(row.texts, dict(row.named)) for row in examples(looked)] == [
        (("h", "i", "j"), {"title": ("a",), "all": ("i", "j")}),
        ((), {"title": ("b",), "all": ()}),
        ((), {"title": (), "all": ()}),
    ]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([3, None, -1], pa.int8()), ["3", "", "-1"]),
        (pa.array(["cat", None, ""]), ["cat", "", ""]),
        (pa.array([3.0, float("nan"), None]), ["3.0", "", ""]),
        (pa.array([decimal.Decimal(3), None, decimal.Decimal(5)], pa.decimal128(12, 0)), ["3", "", "5"]),
        (pa.array([decimal.Decimal("3.00"), None, decimal.Decimal("0.50")]), ["3", "", ""]),
    ],
    ids=str,
)
def test_labels(tmp_path, labels, expected):
    path = write(tmp_path / "a.parquet", {"image": images(3), "label": labels})
    assert [row.label for row in read(path)] == expected


def test_fields_below_a_null_are_null(tmp_path):
    hidden = pa.StructArray.from_arrays(
        [pa.array(["a", "hidden"])], fields=[pa.field("caption", pa.string())], mask=pa.array([False, True])
    )
    path = write(tmp_path / "a.parquet", {"image": images(2), "json": hidden})
    assert [row.texts for row in read(path, columns=SourceColumns(text="json.caption"))] == [("a",), ()]


def test_texts_that_are_not_utf8_are_left_out_with_a_note(tmp_path):
    raw = pa.array([b"\xff\xfe", b"fine"])
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    path = write(tmp_path / "a.parquet", {"image": images(2), "text": broken, "label": broken})
    first, second = examples(look(path))
    assert (first.texts, first.label, second.texts, second.label) == ((), "", ("fine",), "fine")
    assert first.notes == ("'text' is not UTF-8, left out", "'label' is not UTF-8, left out")


@pytest.mark.parametrize(
    "keys", [pa.array(["a", "b", None]), pa.array(["a", "b", ""]), pa.array([b"a", b"b", b"\xff"])], ids=str
)
def test_a_row_without_a_key_is_an_error_with_its_place(tmp_path, keys):
    path = write(tmp_path / "a.parquet", {"image": images(3), "text": ["x"] * 3, "key": keys}, row_group_size=2)
    with pytest.raises(SourceError, match=r"a\.parquet, row 2 \(row group 1\): .*key"):
        look(path)


def test_repeated_keys_are_found_across_files(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.parquet", {"image": images(2), "text": ["x", "y"], "key": ["1", f"{name}2"]})
    with pytest.raises(
        SourceError, match=r"b\.parquet, row 0: .*'1' was first seen at .*a\.parquet, row 0; .*--key-col"
    ):
        look(tmp_path)


def test_files_in_folders_of_a_folder_keep_their_keys_apart(tmp_path):
    for split in ("test", "train"):
        write(tmp_path / f"default/{split}/0000.parquet", {"image": images(1), "text": [split]})
    assert [row.key for row in read(tmp_path)] == ["default/test/0000/0", "default/train/0000/0"]
    assert [row.texts for row in read(tmp_path, split="train")] == [("train",)]
    assert [row.texts for row in read(tmp_path, split="train+test")] == [("train",), ("test",)]
    with pytest.raises(SourceError, match=r"no file of the split 'val', .*'default/test/0000'"):
        look(tmp_path, split="val")


def test_splits_by_the_names_of_files(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001", "retrain"):
        write(tmp_path / f"data/{name}.parquet", {"image": images(1), "text": [name]})
    assert [row.texts for row in read(tmp_path, split="train")] == [
        ("train-00000-of-00002",),
        ("train-00001-of-00002",),
    ]


def test_slices_end_at_row_groups_and_cut_larger_ones(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": images(25), "text": [str(n) for n in range(25)]}, row_group_size=10)
    whole = read(path)
    (looked,) = look(path, rows=10).looks
    assert [(part.start, part.stop, part.num_rows) for part in looked.slices] == [(0, 1, 10), (1, 2, 10), (2, 3, 5)]
    (looked,) = look(path, rows=16).looks
    assert [(part.start, part.stop, part.num_rows) for part in looked.slices] == [(0, 1, 10), (1, 3, 15)]
    (looked,) = look(path, rows=4).looks
    cut = [(part.start, part.num_before, part.num_rows, part.first_row) for part in looked.slices]
    assert cut[:4] == [(0, 0, 4, 0), (0, 4, 4, 4), (0, 8, 2, 8), (1, 0, 4, 10)]
    assert all(read(path, rows=rows) == whole for rows in (1, 4, 7, 16))


def test_a_worker_reads_what_was_planned(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": images(4), "text": ["x"] * 4})
    looked = pickle.loads(pickle.dumps(look(path, rows=2)))
    assert [row.read_image() for row in pickle.loads(pickle.dumps(list(examples(looked))))] == [
        b"image 0", b"image 1", b"image 2", b"image 3",
    ]  # fmt: skip
    (unit, *_) = looked.units(4)
    write(tmp_path / "a.parquet", {"image": images(3), "text": ["x"] * 3})
    with pytest.raises(SourceError, match="had 4 rows from row 0 on when the job was planned and has 3 now"):
        for part in unit.files:
            list(looked.source.read(part, looked.survey.tables))


def test_class_names_and_hidden_labels_of_hugging_face(tmp_path):
    features = '{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}'
    table = pa.table({"image": images(4), "label": pa.array([1, -1, None, 7])})
    pq.write_table(table.replace_schema_metadata({"huggingface": features}), tmp_path / "a.parquet")
    rows = list(examples(look(tmp_path / "a.parquet")))
    assert [row.label for row in rows] == ["dog", "", "", ""]
    assert [row.notes for row in rows] == [(), (), (), ("'label' has a number that no class has, left out",)]


def test_empty_files_and_empty_row_groups(tmp_path):
    write(tmp_path / "0.parquet", {"image": images(0), "text": pa.array([], pa.string())})
    with pytest.raises(SourceError, match="no rows in 1 file"):
        look(tmp_path)
    write(tmp_path / "1.parquet", {"image": images(1), "text": ["a"]})
    assert read(tmp_path) == [Found("1/0", b"image 0", ("a",), "")]


def test_the_content_of_a_file_is_told_by_its_footer(tmp_path):
    def content(columns: dict) -> str:
        (looked,) = look(write(tmp_path / "a.parquet", columns)).looks
        return looked.content

    one = content({"image": images(2), "text": ["a", "b"]})
    assert one == content({"image": images(2), "text": ["a", "b"]}) != content({"image": images(2), "text": ["a", "c"]})


def test_the_case_of_a_folder_from_the_hub(tmp_path: pathlib.Path):
    write(tmp_path / "hub/train-00000-of-00001.parquet", {"image": images(4), "text": ["a", "b", None, "d"]})
    (tmp_path / "hub/README.md").write_text("a dataset card")
    assert [row.texts for row in read(tmp_path / "hub")] == [("a",), ("b",), (), ("d",)]
