"""Datasets in a store, by fsspec's memory driver: written, read and verified like those on a disk."""

import hashlib
import pickle
import re

import fsspec
import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest, ShardWriter, captions_table, labels_table
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.reading.table_reader import read_shard_table
from lit_precompute.schemas.storage import open_folder
from tests.schemas.making import files_of, rows, write

pytestmark = pytest.mark.usefixtures("own_cache")

ONE_BLOCK, BLOCKS = "failures/part-00002.arrow", "embeddings/part-00001.arrayrecord"


@pytest.fixture
def store():
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def _content(store):
    return {path.removeprefix("/bucket/"): store.cat_file(path) for path in store.find("/bucket")}


def test_a_store_gets_the_same_bytes_as_a_disk(tmp_path, store):
    write(tmp_path)
    write("memory://bucket/")
    assert _content(store) == files_of(tmp_path)


def test_rows_come_back_and_only_files_that_are_read_are_fetched(store, monkeypatch):
    write("memory://bucket")
    fetched = []
    get = type(store).cat_file

    def count(self, path, *arguments, **options):
        fetched.extend([path] if "/part-" in path else [])
        return get(self, path, *arguments, **options)

    monkeypatch.setattr(type(store), "cat_file", count)
    keys, vectors, texts, _ = rows(50)
    with EmbeddingDataset.open("memory://bucket") as dataset:
        assert dataset.is_remote
        assert fetched == []
        assert dataset.rows(20, 40, ["key", "embedding"])["key"].to_pylist() == keys[20:40]
        assert [path.removeprefix("/bucket/") for path in fetched] == [BLOCKS]
        found = dataset.rows(0, 50)
        np.testing.assert_array_equal(found["embedding"], vectors.astype(np.float16))
        assert found["texts"].to_pylist() == texts
        assert dataset.failures().num_rows == 2
        assert len(fetched) == len(set(fetched)) == 10
        copy = pickle.loads(pickle.dumps(dataset))
        assert copy.row(33)["key"] == keys[33]
        copy.close()


@pytest.mark.parametrize("name", [ONE_BLOCK, BLOCKS])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:400] + bytes(64) + data[464:]])
def test_a_copy_that_was_damaged_here_is_fetched_again(store, own_cache, name, damage):
    write("memory://bucket")
    data = store.cat_file(f"/bucket/{name}")
    with EmbeddingDataset.open("memory://bucket") as dataset:

        def read():
            return dataset.failures().to_pylist() if name == ONE_BLOCK else dataset.rows(20, 40)["key"].to_pylist()

        expected = read()
        dataset.close()
        copy = own_cache / "datasets" / (sha256 := hashlib.sha256(data).hexdigest())[:2] / sha256
        assert copy.read_bytes() == data
        copy.write_bytes(damage(data))
        assert read() == expected
        assert copy.read_bytes() == data


def test_the_same_file_in_two_places_is_fetched_once(store):
    write("memory://bucket")
    write("memory://other")
    with EmbeddingDataset.open("memory://bucket") as dataset:
        expected = dataset.rows(20, 40).to_rows()
    store.rm("/other/embeddings", recursive=True)
    with EmbeddingDataset.open("memory://other") as dataset:
        assert str(dataset.rows(20, 40).to_rows()) == str(expected)


def test_verification_looks_at_the_store_and_keeps_no_copies(tmp_path, monkeypatch, store, own_cache):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    write("memory://bucket/copies")
    assert verify("memory://bucket/copies") == []
    assert [path for path in [*tmp_path.rglob("*"), *own_cache.rglob("*")] if path.is_file()] == []
    with EmbeddingDataset.open("memory://bucket/copies") as dataset:
        dataset.rows(0, 50)
    store.pipe_file(f"/bucket/copies/{BLOCKS}", b"other bytes")
    (fault,) = verify("memory://bucket/copies")
    assert BLOCKS in fault


@pytest.mark.parametrize("name", [ONE_BLOCK, BLOCKS])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "SHA-256 must be"),
        (lambda data: data[:-1], r"must have \d+ bytes, got \d+"),
        (None, "the file is missing"),
    ],
)
def test_a_changed_file_is_refused_when_read_and_found_by_verification(store, name, change, message):
    write("memory://bucket")
    if change is None:
        store.rm_file(f"/bucket/{name}")
    else:
        store.pipe_file(f"/bucket/{name}", change(store.cat_file(f"/bucket/{name}")))
    with EmbeddingDataset.open("memory://bucket") as dataset:
        read = dataset.failures if name == ONE_BLOCK else lambda: dataset.row(25)
        with pytest.raises(DatasetError, match=f"memory://bucket/{name}: {message}"):
            read()
    (fault,) = verify("memory://bucket")
    assert re.match(f"memory://bucket/{name}: {message}", fault)


def test_swapped_extra_and_edited_files_are_found(store):
    write("memory://bucket", 40, failures=0)  # two shards of 20 rows
    one, two = (f"/bucket/captions/part-0000{shard}.arrayrecord" for shard in range(2))
    first, second = store.cat_file(one), store.cat_file(two)
    store.pipe_file(one, second)
    store.pipe_file(two, first)
    faults = verify("memory://bucket")
    assert [fault.split(": ")[0].rpartition("/")[2] for fault in faults] == [
        one[-22:].lstrip("/"),
        two[-22:].lstrip("/"),
    ]
    store.pipe_file(one, first)
    store.pipe_file(two, second)
    for extra in (
        "captions/part-00002.arrayrecord",
        "captions/part-00001.arrow",
        "x/part-00000.arrow",
        "shards-0.arrow",
    ):
        store.pipe_file(f"/bucket/{extra}", first)
        assert verify("memory://bucket") == [f"memory://bucket/{extra}: not a file of this dataset; remove it"]
        store.rm_file(f"/bucket/{extra}")
    assert verify("memory://bucket") == []
    (path,) = store.glob("/bucket/shards-*.arrow")
    store.pipe_file(path, store.cat_file(path)[:-1])
    (fault,) = verify("memory://bucket")
    assert "must have" in fault
    assert path.rpartition("/")[2] in fault


def test_no_manifest_says_what_there_is(store):
    with pytest.raises(DatasetError, match=r"memory://bucket/manifest.json: missing, this is not an embedding dataset"):
        Manifest.read("memory://bucket")
    store.pipe_file("/bucket/_work/job.json", b"{}")
    with pytest.raises(DatasetError, match="this is an unfinished job; run its command again to resume"):
        Manifest.read("memory://bucket")


def test_a_table_of_a_finished_shard_is_read_before_there_is_a_manifest(store):
    folder, tables = open_folder("memory://bucket"), [captions_table(), labels_table()]
    with ShardWriter(folder, shard=7, tables=tables) as writer:
        writer.append_rows(["a"], {"captions": {"texts": [["b"]]}, "labels": {"label": ["1"]}})
        info = writer.finish()
    assert read_shard_table(folder, tables[1], info).to_pylist() == [{"key": "a", "label": "1"}]
    with ShardWriter(folder, shard=8, tables=tables) as writer:
        info = writer.finish()
    assert read_shard_table(folder, tables[1], info).num_rows == 0
