import gc
import io
import json
import pathlib
import pickle
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.looking import look_into
from lit_precompute.precompute.sources.opening import find_examples
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.schemas.storage import FoundFile, open_file
from tests.precompute.sources.webdataset.tars import (
    all_rows,
    contents,
    has_labels,
    make_tars,
    open_tars,
    outcome,
    units_of,
    write_tar,
)

opened: list[BinaryIO] = []


def recording_open(path: str) -> BinaryIO:
    """Opens a file and notes it in `opened`; a function of the module, so that rows that use it can be pickled."""
    opened.append(open_file(path))
    return opened[-1]


def _samples(first: int, count: int) -> list[tuple[str, bytes]]:
    members = []
    for number in range(first, first + count):
        members += [
            (f"{number:06d}.jpg", f"image {number}".encode()),
            (f"{number:06d}.txt", f"text {number}".encode()),
        ]
    return members


def test_every_part_of_a_sample(tmp_path):
    path = write_tar(
        tmp_path / "data.tar",
        [
            ("README", b"no sample"),
            ("__index__.json", b"{}"),
            ("._a.jpg", b"a hidden file"),
            ("./a.jpg", b"A"),
            ("./a.txt", "żółw\n".encode()),
            ("./a.json", json.dumps({"caption": "żółw", "texts": ["two", " "], "label": 3}).encode()),
            ("folder.x/b.PNG", b"B"),
            ("folder.x/b.seg.png", b"another thing"),
            ("folder.x/b.cls", b"cat\n"),
            ("c.webp", b"C"),
        ],
    )
    source = open_tars(path)
    rows = all_rows(source)
    assert [(row.key, row.texts, row.label, row.read_image()) for row in rows] == [
        ("data/a", ("żółw", "two"), "3", b"A"),
        ("data/folder.x/b", (), "cat", b"B"),
        ("data/c", (), "", b"C"),
    ]
    assert [row.source for row in rows] == [f"{path}:./a.jpg", f"{path}:folder.x/b.PNG", f"{path}:c.webp"]
    assert has_labels(source)


def test_the_image_and_the_names_of_json_keys_are_chosen_by_rule(tmp_path):
    values = json.dumps({"prompt": "a text", "captions": ["x"], "class": "dog", "caption": "not asked for"}).encode()
    path = write_tar(tmp_path / "d.tar", [("1.json", values), ("1.png", b"png"), ("1.jpg", b"jpg")])
    (row,) = all_rows(open_tars(path, columns=SourceColumns(text="prompt", texts="captions", label="class")))
    assert (row.texts, row.label, row.read_image()) == (("a text", "x"), "dog", b"jpg")
    assert row.notes == ("another image in the sample, left out",)
    (row,) = all_rows(open_tars(path, columns=SourceColumns(image="png")))
    assert (row.read_image(), row.notes) == (b"png", ())


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_non_ascii_names_in_every_tar_format(tmp_path, format):
    names = [f"{'long/' * 22}{number}/żółw" if format != tarfile.USTAR_FORMAT else f"{number}" for number in range(4)]
    members = [(f"{name}.{suffix}", f"{name}{suffix}".encode()) for name in names for suffix in ("jpg", "txt")]
    rows = all_rows(open_tars(write_tar(tmp_path / "d.tar", members, format), rows_per_slice=3))
    assert [(row.key, row.texts, row.read_image()) for row in rows] == [
        (f"d/{name}", (f"{name}txt",), f"{name}jpg".encode()) for name in names
    ]


@settings(max_examples=40)
@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=4), rows_per_unit=st.integers(1, 12))
def test_units_are_consecutive_slices_of_the_tars(tmp_path_factory, counts, rows_per_unit):
    folder = tmp_path_factory.mktemp("tars")
    for number, count in enumerate(counts):
        write_tar(folder / f"d-{number}.tar", _samples(0, count))
    if sum(counts) == 0:
        with pytest.raises(SourceError, match=f"no samples in {len(counts)} tar"):
            open_tars(str(folder))
        return
    looked = open_tars(str(folder), rows_per_slice=rows_per_unit)
    units, read = looked.units(rows_per_unit), units_of(looked, rows_per_unit)
    assert [len(rows) for rows in read] == [unit.num_rows for unit in units]
    assert all(unit.num_rows <= rows_per_unit for unit in units)
    expected = [
        (f"d-{n}/{i:06d}", (f"text {i}",), f"image {i}".encode())
        for n, count in enumerate(counts)
        for i in range(count)
    ]
    assert [(row.key, row.texts, row.read_image()) for part in read for row in part] == expected


def test_a_tar_a_folder_a_glob_and_braces_give_the_same_rows(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"data-{number:04d}.tar", _samples(10 * number, 4))
    expected = [row.key for row in all_rows(open_tars(str(tmp_path)))]
    assert len(expected) == 12
    for pattern in ("*.tar", "data-000[0-2].tar", "data-{0000..0002}.tar", "data-000{0,1,2}.tar"):
        assert [row.key for row in all_rows(open_tars(str(tmp_path / pattern)))] == expected
    assert [row.key for row in all_rows(open_tars(f"{tmp_path}/"))] == expected
    assert [row.key for row in all_rows(open_tars(str(tmp_path / "data-0001.tar")))] == expected[4:8]


def test_a_faulty_sample_fails_alone(tmp_path):
    path = write_tar(
        tmp_path / "d.tar",
        [
            ("1.txt", b"no image"),
            ("1.mp3", b""),
            ("2.", b""),
            ("4.jpg", b"P"),
            ("4.txt", b"\xff"),
            ("5.jpg", b"P"),
            ("5.cls", b"\xff"),
            ("6.jpg", b"P"),
            ("6.txt", b"sound"),
        ],
    )
    rows = all_rows(open_tars(path))
    assert [outcome(row) for row in rows] == [
        ("missing", "no image in the sample, only mp3, txt"),
        ("missing", "no image in the sample, only ''"),
        ("unreadable", "4.txt: not UTF-8 at byte 0"),
        ("unreadable", "5.cls: not UTF-8 at byte 0"),
        b"P",
    ]
    assert [row.texts for row in rows] == [("no image",), (), (), (), ("sound",)]


def test_threads_share_one_open_tar(tmp_path):
    opened.clear()
    source = open_tars(write_tar(tmp_path / "d.tar", _samples(0, 300)), opener=recording_open)
    rows = all_rows(source)
    random.Random(0).shuffle(rows)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda row: row.read_image(), rows))
    assert images == [f"image {int(row.key[2:])}".encode() for row in rows]
    (shared,) = [stream for stream in opened if not stream.closed]
    del rows
    gc.collect()
    assert shared.closed


def test_rows_read_in_another_process_and_share_the_tar_there(tmp_path):
    """As a process gets them: pickled. A file that replaces the tar later is opened by later rows alone."""
    path = write_tar(tmp_path / "data.tar", [*_samples(0, 5), ("broken.txt", b"no image")])

    def arrive(rows):
        return [pickle.loads(pickle.dumps(row.read_image)) for row in rows]

    rows = all_rows(open_tars(path, opener=recording_open))
    reads = arrive(rows)
    opened.clear()
    assert [read() for read in reads[:5]] == [f"image {number}".encode() for number in range(5)]
    with pytest.raises(ImageError, match="no image"):
        reads[5]()
    assert len(opened) == 1
    (tmp_path / "data.tar").unlink()
    write_tar(tmp_path / "data.tar", _samples(7, 5))
    found = [read() for read in arrive(all_rows(open_tars(path, opener=recording_open)))]
    assert found == [f"image {number}".encode() for number in range(7, 12)]


def test_the_content_is_that_of_the_headers(tmp_path):
    path = write_tar(tmp_path / "d.tar", _samples(0, 3))
    looked = open_tars(path)
    (look,) = looked.looks
    assert (look.path, look.num_bytes, look.sha256) == (path, pathlib.Path(path).stat().st_size, None)
    assert looked.source.kind == "webdataset"
    (tmp_path / "elsewhere").mkdir()
    assert contents(open_tars(write_tar(tmp_path / "elsewhere/d.tar", _samples(0, 3)))) == contents(looked)
    renamed = [("9" + name[1:], data) for name, data in _samples(0, 3)]
    assert contents(open_tars(write_tar(tmp_path / "d.tar", renamed))) != contents(looked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:3000], r"d.tar, byte \d+: the tar is damaged or truncated \(.*; fetch or write it again"),
        (lambda data: data[: 512 * 5], r"d.tar, byte 2048: .*ends at byte 3080, beyond the end of the file"),
        (lambda data: data[: 512 * 7], r"d.tar, byte 3584: .*the end marker is missing"),
        (lambda data: data[:2048] + b"\xff" + data[2049:], r"d.tar, byte 2048: .*damaged or truncated \(bad checksum"),
        (lambda data: b"", r"d.tar, byte 0: .*empty"),
        (lambda data: b"x" * 2000, r"d.tar, byte 0: the tar is damaged"),
        (lambda data: data + data, r"d.tar: there is data after the tar's end"),
        (lambda data: b"BZh9" + data, r"d.tar: compressed with bzip2, .* decompress it to a plain .tar"),
    ],
)
def test_damaged_tars_are_refused_and_the_byte_is_named(tmp_path, change, message):
    members = [("1.jpg", b"P" * 500), ("1.txt", b"a text"), ("2.jpg", b"Q" * 520), ("2.txt", b"b")]
    path = pathlib.Path(write_tar(tmp_path / "d.tar", members))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=message):
        open_tars(str(path))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], r"no samples in 1 tar; members must be named like 0001.jpg"),
        ([("README", b"x")], r"no samples in 1 tar;"),
        ([("1.txt", b"x")], r"no sample has an image, that is, a member named \.jpg, \.jpeg, \.png"),
        ([("1.jpg", b"x"), ("1.JPG", b"y")], r"byte 1024: sample '1' has two members 'jpg'; rename one of them"),
        (
            [("1.jpg", b"x"), ("2.jpg", b"y"), ("1.txt", b"z")],
            r"byte 2048: keys must be unique, 'd/1' was first seen at .*byte 0",
        ),
        ([("\udcff.jpg", b"x")], r"byte 0: the name '\\udcff.jpg' is not UTF-8"),
    ],
)
def test_unusable_tars_are_refused(tmp_path, members, message):
    with pytest.raises(SourceError, match=message):
        open_tars(write_tar(tmp_path / "d.tar", members))


def test_tars_of_the_same_name_must_not_contain_the_same_samples(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_tar(tmp_path / folder / "d.tar", _samples(0, 2))
    with pytest.raises(SourceError, match=r"'d/000000' was first seen at .*x/d.tar, byte 0; rename the tars"):
        open_tars(str(tmp_path / "*" / "d.tar"))


def test_paths_without_tars_are_errors(tmp_path):
    with pytest.raises(SourceError, match=r"d-{0..1}.tar|d-0.tar: cannot be opened \(No such file"):
        open_tars(str(tmp_path / "d-{0..1}.tar"))
    with pytest.raises(SourceError, match=r"\*.tar: no such files"):
        open_tars(str(tmp_path / "*.tar"))
    (tmp_path / "t.csv").write_text("path,text\n1.png,a\n")
    with pytest.raises(SourceError, match=r"t.csv, byte 0: the tar is damaged or truncated"):
        open_tars(str(tmp_path / "t.csv"))


def test_a_tar_that_changes_while_the_job_runs_is_an_error(tmp_path):
    path = write_tar(tmp_path / "d.tar", _samples(0, 3))
    source = open_tars(path)
    rows = all_rows(source)
    write_tar(tmp_path / "d.tar", [("a.jpg", b"x" * 4000)])
    with pytest.raises(SourceError):
        all_rows(source)
    pathlib.Path(path).write_bytes(b"")
    with pytest.raises(SourceError, match="the tar changed"):
        rows[0].read_image()


def test_an_injected_opener_and_finder_are_used_for_everything(tmp_path):
    files = {
        f"store/d-{n}.tar": pathlib.Path(write_tar(tmp_path / f"d-{n}.tar", _samples(0, 2))).read_bytes()
        for n in (0, 1)
    }
    found = {"store/d-*.tar": dict.fromkeys(files, FoundFile(None, ""))}
    source = make_tars(
        "store/d-*.tar", opener=lambda path: io.BytesIO(files[path]), find=lambda pattern: found.get(pattern, {})
    )
    looked = look_into(source, 1)
    rows = [row for look in looked.looks for part in look.slices for row in source.read(part, looked.survey.tables)]
    assert [row.read_image() for row in rows] == [b"image 0", b"image 1"] * 2


def test_find_examples_finds_rows_by_key(tmp_path):
    source = make_tars(write_tar(tmp_path / "d.tar", _samples(0, 30)))
    found = list(find_examples(source, ["d/000021", "d/000003"]))
    assert [(example.key, example.read_image()) for example in found] == [
        ("d/000003", b"image 3"),
        ("d/000021", b"image 21"),
    ]
    assert list(find_examples(source, [])) == []
    one_by_one = find_examples(source, ["d/000001", "d/x"])
    assert next(one_by_one).key == "d/000001"
    with pytest.raises(SourceError, match=r"no row has the key 'd/x' \(keys not found: 1\)"):
        next(one_by_one)
