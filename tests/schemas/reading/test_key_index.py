"""Rows by key, against a dictionary of Python's."""

import errno
import os

import pyarrow as pa
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.reading.key_index import open_index
from lit_precompute.schemas.storage import FileCache
from tests.schemas.making import write

KEYS = ["", "a", "aa", "b", "a\0", "é☂", *(f"{number:07d}" for number in range(3000)), "x" * 1000, "a"]


def _open(tmp_path, keys, made=None):
    pieces = [pa.array(keys[start : start + 700]) for start in range(0, len(keys), 700)]

    def read():
        if made is not None:
            made.append(len(pieces))
        return pieces

    return open_index(lambda: FileCache(tmp_path / "cache"), "ab" * 32, len(keys), read)


def test_each_key_is_found_and_others_are_not(tmp_path):
    index = _open(tmp_path, KEYS)
    for key in KEYS:
        assert [row for row in index.candidates(key) if KEYS[row] == key] == [
            row for row, other in enumerate(KEYS) if other == key
        ]
    assert index.candidates("nowhere") == []


def test_it_is_made_once_and_outlives_its_file(tmp_path):
    made = []
    first, second = (_open(tmp_path, KEYS, made) for _ in range(2))
    assert len(made) == 1
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    assert first.candidates("b") == second.candidates("b") == [3]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_without_a_cache_that_can_be_written_to_it_is_made_for_this_process(number):
    def refuse():
        raise OSError(number, os.strerror(number), "cache")  # root, as which tests may run, may write anywhere

    index = open_index(refuse, "ab" * 32, len(KEYS), lambda: [pa.array(KEYS)])
    assert index.candidates("b") == [3]


@pytest.mark.usefixtures("own_cache")
def test_a_dataset_finds_rows_by_key(tmp_path):
    write(tmp_path / "dataset")
    for _ in range(2):
        with EmbeddingDataset.open(tmp_path / "dataset") as dataset:
            assert [dataset.row_of(f"image-{row:04d}") for row in (0, 33, 49)] == [0, 33, 49]
            with pytest.raises(DatasetError, match=r"no row has the key 'x'; keys .*, for example 'image-0000'"):
                dataset.row_of("x")
