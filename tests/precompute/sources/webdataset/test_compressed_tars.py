"""Compressed tars: one slice each, read as a stream."""

import functools
import gzip
import io
import pathlib
import pickle
import random
import subprocess
import tempfile

import pyarrow as pa
import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.webdataset import looking, passing
from lit_precompute.precompute.sources.webdataset.compression import Decompressed
from tests.precompute.sources.webdataset.tars import (
    all_rows,
    contents,
    hard,
    has_labels,
    make_tars,
    open_tars,
    outcome,
    symbolic,
    units_of,
    write_tar,
)


def _compressed(path: str, ending: str = ".gz") -> str:
    """Compresses a tar, removes it, and returns the path of the compressed one."""
    tar = pathlib.Path(path)
    data = tar.read_bytes()
    target = tar.with_suffix(".tgz") if ending == ".tgz" else pathlib.Path(path + ending)
    target.write_bytes(pa.compress(data, "zstd", asbytes=True) if ending == ".zst" else gzip.compress(data))
    tar.unlink()
    return str(target)


def _samples(count: int, size: int = 3000) -> list[tuple[str, bytes]]:
    random.seed(0)
    return [
        (f"{n:04}.{suffix}", random.randbytes(size) if suffix == "jpg" else f"text {n}".encode())
        for n in range(count)
        for suffix in ("jpg", "txt")
    ]


@pytest.mark.parametrize("ending", [".gz", ".tgz", ".zst"])
def test_a_compressed_tar_has_the_rows_of_the_plain_one(tmp_path, ending):
    members = [*_samples(40), ("README", b""), ("0040.jpg", b"last"), ("0040.cls", b"cat")]
    plain = open_tars(write_tar(tmp_path / "d.tar", members))
    expected = [(row.key, row.texts, row.label, row.read_image()) for row in all_rows(plain)]
    path = _compressed(str(tmp_path / "d.tar"), ending)
    looked = open_tars(path, rows_per_slice=7)
    assert [(part.path, part.num_rows) for look in looked.looks for part in look.slices] == [(path, None)]
    assert looked.looks[0].key_hashes == b""
    assert has_labels(looked)
    rows = all_rows(looked)
    assert [(row.key, row.texts, row.label, row.read_image()) for row in rows] == expected
    assert {note: row.key for row in rows for note in row.notes} == {"no dot in a member's name, left out": "d/0039"}
    (part,) = looked.looks[0].slices
    assert [key for key, _ in looked.source.keys(part)] == [row.key for row in rows]
    assert list(looked.source.keys(part))[1][1] == f"{path} (decompressed), byte 4608"


def test_a_folder_holds_plain_and_compressed_tars(tmp_path):
    write_tar(tmp_path / "a.tar", _samples(2))
    _compressed(write_tar(tmp_path / "b.tar", _samples(2)))
    _compressed(write_tar(tmp_path / "c.tar", _samples(2)), ".tgz")
    (tmp_path / "a.parquet").write_bytes(b"")
    (tmp_path / "a_stats.json").write_bytes(b"")
    looked = open_tars(str(tmp_path))
    assert [row.key for row in all_rows(looked)] == [f"{name}/{n:04}" for name in "abc" for n in range(2)]
    assert [unit.num_rows for unit in looked.units(1000)] == [2, None, None]


def test_gnu_tar_writes_what_is_read(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.jpg").write_bytes(b"%d" % n)
    subprocess.run("tar -czf d.tar.gz *.jpg", shell=True, cwd=tmp_path, check=True)
    assert [outcome(row) for row in all_rows(open_tars(str(tmp_path / "d.tar.gz")))] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("part", [0.4, 0.999])
@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_compressed_tar_that_is_cut_off_is_an_error_at_its_end(tmp_path, monkeypatch, ending, part):
    """As a plain one is, at the latest when it is read: a shard is complete or absent."""
    monkeypatch.setattr(looking, "_MAX_SAMPLES", 3)
    path = pathlib.Path(_compressed(write_tar(tmp_path / "d.tar", _samples(40)), ending))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(
        SourceError, match=r"d.tar.*data is (cut off|damaged or cut off).* at .*byte [\d,]+.*; fetch or"
    ):
        all_rows(open_tars(str(path)))


def test_a_flipped_byte_is_an_error(tmp_path):
    path = pathlib.Path(_compressed(write_tar(tmp_path / "d.tar", _samples(4))))
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"d.tar.gz: the gzip data is damaged after byte [\d,]+ \(.*; fetch or"):
        all_rows(open_tars(str(path)))


def test_a_look_reads_only_the_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "_MAX_SAMPLES", 3)
    members = [*_samples(5), ("5.jpg", b""), ("5.json", '{"prompt": "late", "label": "cat"}')]
    path = _compressed(write_tar(tmp_path / "d.tar", members))
    assert not has_labels(open_tars(path))
    late = "label, which no sample had where planning looked, left out"
    assert all_rows(open_tars(path))[-1].notes == ("JSON without text, texts or caption", late)
    beginning = r"\(of 1 tar only the beginning was looked into\)"
    with pytest.raises(SourceError, match=rf"no sample's JSON has 'prompt' {beginning}; there are none"):
        open_tars(path, columns=SourceColumns(text="prompt"))
    monkeypatch.setattr(looking, "_MAX_SAMPLES", 1000)
    looked = open_tars(path, columns=SourceColumns(text="prompt"))
    assert has_labels(looked)
    assert all_rows(looked)[-1].texts == ("late",)


def test_the_content_notices_another_beginning_and_another_size(tmp_path):
    def content(members):
        return contents(open_tars(_compressed(write_tar(tmp_path / "d.tar", members))))

    assert content(_samples(4)) == content(_samples(4))
    assert content(_samples(4)) != content(_samples(5))
    assert content(_samples(4)) != content([("x.jpg", b""), *_samples(4)])


def test_links_in_a_compressed_tar_lead_where_they_lead_in_a_plain_one(tmp_path):
    members = [
        ("0.jpg", symbolic("2.jpg")),  # to a later member
        ("0.txt", symbolic("shared")),
        ("1.jpg", b"one"),
        ("2.jpg", b"two"),
        ("3.jpg", hard("1.jpg")),
        ("4.jpg", symbolic("nowhere.jpg")),
        ("shared", b"a text"),
    ]
    rows = all_rows(open_tars(_compressed(write_tar(tmp_path / "d.tar", members))))
    assert [row.texts for row in rows] == [("a text",), (), (), (), ()]
    sentence = "4.jpg: a link to 'nowhere.jpg', which is no file in this tar; write the tar with --dereference"
    expected = [b"two", b"one", b"two", b"one", ("missing", sentence)]
    assert [outcome(row) for row in rows] == expected
    reads = [pickle.loads(pickle.dumps(row.read_image)) for row in rows[:4]]
    assert [read() for read in reads] == expected[:4]


@pytest.mark.parametrize("whole_tars", [False, True])
def test_images_are_read_once_or_again_and_in_another_process(tmp_path, whole_tars):
    plain = write_tar(tmp_path / "d.tar", _samples(6))
    path = plain if whole_tars else _compressed(plain)
    rows = all_rows(open_tars(path, whole_tars=whole_tars))
    sent = [pickle.dumps(row.read_image) for row in rows[:3]]
    images = [data for name, data in _samples(6) if name.endswith("jpg")]
    assert [pickle.loads(read)() for read in sent] == images[:3]
    assert [row.read_image() for row in rows] == images
    assert [row.read_image() for row in rows] == images


def test_kept_bytes_are_bounded_and_given_back(tmp_path, monkeypatch):
    """Once the room is used up, images are read from the unpacked tar."""
    room = passing._Room(10_000)
    monkeypatch.setattr(passing, "_room", room)
    path = _compressed(write_tar(tmp_path / "d.tar", _samples(8)))
    rows = all_rows(open_tars(path))
    assert not room.take(3000)
    assert [row.read_image() for row in rows] == [data for name, data in _samples(8) if name.endswith("jpg")]
    assert room.take(10_000)


def test_no_room_to_unpack_is_said(tmp_path, monkeypatch):
    full = tmp_path / "full"
    open_full = functools.partial(pathlib.Path.open, pathlib.Path("/dev/full"), "r+b")
    monkeypatch.setattr(tempfile, "TemporaryFile", open_full)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(full))
    path = _compressed(write_tar(tmp_path / "d.tar", [*_samples(3), ("3.jpg", hard("0001.jpg"))]))
    with pytest.raises(OSError, match=f"No space left on device in {full}, where it is unpacked because of its links"):
        all_rows(open_tars(path))


def test_empty_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "d.tar.gz"
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(
        SourceError, match=r"d.tar.gz \(decompressed\), byte 0: the tar is damaged or truncated \(empty"
    ):
        open_tars(str(path))
    path.write_bytes(gzip.compress(b"x" * 1000))
    with pytest.raises(SourceError, match="byte 0: the tar is damaged"):
        open_tars(str(path))
    with pytest.raises(SourceError, match="no samples in 1 tar; members must be named"):
        open_tars(_compressed(write_tar(tmp_path / "e.tar", [("README", b"")])))


def test_whole_tars_are_slices_of_unknown_length(tmp_path):
    members = [*_samples(4), ("9.jpg", hard("0001.jpg"))]
    path = write_tar(tmp_path / "d.tar", members)
    looked = open_tars(path, whole_tars=True)
    assert [part.num_rows for part in looked.looks[0].slices] == [None]
    assert make_tars(path, whole_tars=True).options["whole_tars"] is True
    plain = all_rows(open_tars(path))
    rows = [row for rows in units_of(looked) for row in rows]
    assert [(row.key, row.texts, row.read_image()) for row in rows] == [
        (row.key, row.texts, row.read_image()) for row in plain
    ]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_going_backwards_in_a_stream_begins_anew(compression):
    data = random.Random(0).randbytes(5 << 20)
    encoded = gzip.compress(data, 1) if compression == "gzip" else pa.compress(data, "zstd", asbytes=True)
    with io.BytesIO(encoded) as file:
        stream = Decompressed(file, compression, "d")
        for start, num_bytes in [(4_000_000, 100), (10, 2_000_000), (5, 3), (5, 0), (len(data) - 3, 10)]:
            assert stream.seek(start) == start
            assert stream.read(num_bytes) == data[start : start + num_bytes]
        assert stream.seek(len(data) + 100) == len(data)
        assert stream.read() == b""
        stream.seek(1)
        assert stream.read() == data[1:]


def test_a_stream_is_not_gone_back_in(tmp_path, monkeypatch):
    """Not for long names either, nor for JSON."""
    members = [(f"{'long/' * 50}{n}.{suffix}", "{}") for n in range(5) for suffix in ("jpg", "json")]
    path = _compressed(write_tar(tmp_path / "d.tar", members))
    seek = Decompressed.seek

    def forwards(self, offset, *whence):
        assert offset >= self.tell()
        return seek(self, offset, *whence)

    monkeypatch.setattr(Decompressed, "seek", forwards)
    assert len(all_rows(open_tars(path))) == 5
