"""Tars in stores and on servers: the rows of local ones, by few requests and few bytes."""

import functools
import gzip
import pathlib
import random

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from lit_precompute.precompute.sources.source import ListedFile, SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.precompute.sources.webdataset import passing
from lit_precompute.schemas.storage import Patience, StorageError, find_described, open_file, open_folder
from tests.flaky_server import dead_address, flaky_server
from tests.precompute.sources.webdataset.tars import (
    all_rows,
    contents,
    hard,
    make_tars,
    notes,
    open_tars,
    symbolic,
    units_of,
    write_tar,
)

_QUICK = Patience(first_pause_s=0.001, max_pause_s=0.01, max_attempts=3)
_OPTIONS = {
    "opener": functools.partial(open_file, patience=_QUICK),
    "find": functools.partial(find_described, patience=_QUICK),
}


def _samples(count: int, size: int) -> list[tuple[str, bytes]]:
    draw = random.Random(0)
    return [
        (f"{n:05}.{suffix}", draw.randbytes(size if suffix == "jpg" else 700))
        if suffix == "jpg"
        else (f"{n:05}.{suffix}", f"text {n} {'.' * 700}".encode())
        for n in range(count)
        for suffix in ("jpg", "txt")
    ]


def _seen(rows):
    return [(row.key, row.texts, row.label, row.read_image()) for row in rows]


@pytest.fixture
def asked(monkeypatch):
    """The ranges that the memory driver was asked for; whole files as (None, None)."""
    ranges: list[tuple[int, int]] = []
    cat_file = MemoryFileSystem.cat_file

    def recording(self, path, start=None, end=None, **options):
        ranges.append((start, end))
        return cat_file(self, path, start=start, end=end, **options)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", recording)
    return ranges


def _upload(bucket: str, path: str) -> tuple[str, int]:
    """Puts a local file in a bucket; returns its URL and size."""
    data = pathlib.Path(path).read_bytes()
    name = pathlib.Path(path).name
    open_folder(bucket).write(name, data)
    return f"{bucket}/{name}", len(data)


def test_tars_in_a_store_have_the_rows_of_local_ones(tmp_path, bucket):
    members = [
        *_samples(7, 3000),
        ("README", b""),
        ("a.jpg", symbolic("00006.jpg")),
        ("a.json", b'{"label": "cat"}'),
        ("b.jpg", hard("00001.jpg")),
        ("c.jpg", symbolic("blob")),
        ("blob", b"last"),
    ]
    local = open_tars(write_tar(tmp_path / "0.tar", members), rows_per_slice=3)
    (tmp_path / "1.tar.gz").write_bytes(gzip.compress((tmp_path / "0.tar").read_bytes()))
    for name in ("0.tar", "1.tar.gz"):
        _upload(bucket, str(tmp_path / name))
    remote = open_tars(bucket, rows_per_slice=3)
    assert [unit.num_rows for unit in remote.units(3)] == [3, 3, 3, 1, None]
    *units, streamed = units_of(remote, 3)
    expected = _seen(all_rows(local))
    assert [each for unit in units for each in _seen(unit)] == expected
    assert [each[1:] for each in _seen(streamed)] == [each[1:] for each in expected]
    assert contents(remote)[0] == contents(local)[0]
    assert [(what, count) for what, (count, _) in notes(remote).items()] == [
        (what, count) for what, (count, _) in notes(local).items()
    ]


@pytest.mark.parametrize(
    ("rows_per_slice", "whole_tars", "num_asked", "num_units"),
    [(140, False, 700, 5), (140, True, 100, 1), (160, False, 100, 1)],
)
def test_few_bytes_are_read_twice(tmp_path, asked, rows_per_slice, whole_tars, num_asked, num_units):
    """A request for the header after each image, in a tar of more than four slices after a look at its beginning."""
    url, num_bytes = _upload("memory://few-bytes", write_tar(tmp_path / "d.tar", _samples(600, 100_000)))
    asked.clear()
    looked = open_tars(url, rows_per_slice=rows_per_slice, whole_tars=whole_tars, **_OPTIONS)
    assert len(asked) <= 4 + num_asked
    planned = len(asked)
    units = units_of(looked, rows_per_slice)
    assert len(units) == num_units
    rows = [row for unit in units for row in unit]
    assert len(rows) == 600
    assert all(len(row.read_image()) == 100_000 for row in rows)
    assert len(asked) - planned == (4 if num_units == 1 else 5)  # of at most 16 MiB each
    assert sum(stop - start for start, stop in asked) <= 1.05 * num_bytes


def test_small_images_are_read_once(tmp_path, asked):
    url, num_bytes = _upload("memory://small", write_tar(tmp_path / "d.tar", _samples(4000, 5000)))
    asked.clear()
    rows = all_rows(open_tars(url, rows_per_slice=4000, **_OPTIONS))
    assert len(rows) == 4000
    assert all(len(row.read_image()) == 5000 for row in rows)
    assert len(asked) <= 12
    assert sum(stop - start for start, stop in asked) <= 1.05 * num_bytes


def test_of_small_images_the_headers_are_read_by_few_requests(tmp_path, asked):
    url, num_bytes = _upload("memory://small", write_tar(tmp_path / "d.tar", _samples(300, 5000)))
    asked.clear()
    open_tars(url, rows_per_slice=50, **_OPTIONS)
    assert len(asked) <= 20
    assert sum(stop - start for start, stop in asked) <= 1.5 * num_bytes


@pytest.mark.parametrize(("options", "num_units"), [({}, 1), ({"columns": SourceColumns(text="title")}, 4)])
def test_a_column_that_comes_late_is_found(tmp_path, options, num_units):
    """A tar in which the first hundred samples do not have what the user named is looked into."""
    members = [
        (f"{n:05}.{suffix}", b"" if suffix == "jpg" else b'{"%s": "A"}' % (b"title" if n > 150 else b"text"))
        for n in range(200)
        for suffix in ("jpg", "json")
    ]
    url, _ = _upload("memory://late", write_tar(tmp_path / "d.tar", members))
    looked = open_tars(url, rows_per_slice=60, **options)
    assert len(looked.units(60)) == num_units
    assert [bool(row.texts) for row in all_rows(looked)] == [n > 150 if options else n <= 150 for n in range(200)]


def test_large_images_are_read_once_and_on_request(tmp_path, asked):
    members = _samples(4, 30 << 20)
    url, num_bytes = _upload("memory://large", write_tar(tmp_path / "d.tar", members))
    looked = open_tars(url, **_OPTIONS)
    asked.clear()
    rows = all_rows(looked)
    before = sum(stop - start for start, stop in asked)
    assert before <= 17 << 20  # the first piece, until the size of an image was known
    assert [row.read_image() for row in rows] == [data for name, data in members if name.endswith("jpg")]
    assert sum(stop - start for start, stop in asked) - before <= num_bytes + (1 << 20)


def test_the_bytes_kept_do_not_grow_with_the_unit(tmp_path, monkeypatch):
    room = passing._Room(250_000)
    monkeypatch.setattr(passing, "_room", room)
    url, _ = _upload("memory://kept", write_tar(tmp_path / "d.tar", _samples(100, 10_000)))
    looked = open_tars(url)
    (part,) = looked.looks[0].slices
    images = []
    for row in looked.source.read(part, looked.survey.tables):  # each is read before the next one
        assert type(row.read_image).__name__ == "GivenImage"
        images.append(row.read_image())
    rows = all_rows(looked)
    assert not room.take(20_000)
    assert [row.read_image() for row in rows] == images
    assert room.take(250_000)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("fault", [503, "cut", "garbage"])
def test_a_tar_on_a_server_that_fails_at_times(tmp_path, fault, ending):
    local = open_tars(write_tar(tmp_path / "d.tar", _samples(20, 20_000)))
    data = (tmp_path / "d.tar").read_bytes()
    path = f"/d.tar{ending}"
    with flaky_server() as server:
        server.contents[path] = gzip.compress(data) if ending else data
        server.faults[path] = [fault]
        looked = open_tars(f"{server.address}{path}", **_OPTIONS)
        server.faults[path] = [fault]  # while a unit is read
        assert _seen(all_rows(looked)) == _seen(all_rows(local))


def test_an_outage_is_not_a_fault_of_the_tar(tmp_path):
    file = ListedFile(path=f"{dead_address('http')}/d.tar")
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:\d+/.*Connection refused, after 3 attempts"):
        make_tars(file.path, **_OPTIONS).look(file, 1000)
    with pytest.raises(SourceError, match=r"memory://nothing/d.tar: cannot be opened"):
        open_tars("memory://nothing/d.tar", **_OPTIONS)
