"""The first samples of a tar, without the headers of the others."""

import random

import pytest

from lit_precompute.precompute.sources.peeking import peek_into
from tests.precompute.sources.webdataset.tars import hard, make_tars, write_tar


def _members(count, size=3000):
    draw = random.Random(0)
    for number in range(count):
        yield f"{number:05}.jpg", draw.randbytes(size)
        yield f"{number:05}.txt", f"text {number}"


def _peek(path, *how_many, **options):
    source = make_tars(path, **options)
    (file,) = source.files()
    return peek_into(source, file, *how_many)


def test_rows_are_estimated_from_the_first(tmp_path):
    path = write_tar(tmp_path / "a.tar", _members(500))
    peek = _peek(path, 3, 50)
    assert [(row.key, row.texts) for row in peek.rows] == [(f"a/{n:05}", (f"text {n}",)) for n in range(3)]
    assert peek.num_rows == pytest.approx(500, rel=0.01)
    assert not peek.is_exact
    assert peek.fields == {".jpg": "3,000 bytes", ".txt": "6 bytes"}


def test_a_tar_of_fewer_samples_is_counted(tmp_path):
    peek = _peek(write_tar(tmp_path / "a.tar", _members(20)), 0, 50)
    assert (peek.rows, peek.num_rows, peek.is_exact) == ((), 20, True)


def test_headers_behind_the_first_samples_are_not_read(tmp_path):
    """The rest of the tar is garbage, which a look refuses."""
    path = tmp_path / "a.tar"
    write_tar(path, _members(100))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"x" * (len(data) // 2))
    assert _peek(path.as_posix(), 0, 500).fault
    peek = _peek(path.as_posix(), 2, 10)
    assert (len(peek.rows), peek.fault) == (2, "")
    assert peek.num_rows == pytest.approx(100, rel=0.02)


def test_links_among_the_first_samples_are_followed(tmp_path):
    members = [*_members(50), ("a.jpg", hard("00003.jpg")), ("a.txt", "linked")]
    path = write_tar(tmp_path / "a.tar", [*members[-2:], *members[:-2]])
    first = _peek(path, 1, 10).rows[0]
    assert (first.key, first.texts, len(first.read_image())) == ("a/a", ("linked",), 3000)
