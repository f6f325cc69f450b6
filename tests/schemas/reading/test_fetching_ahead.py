"""Files of a dataset in a store are fetched before they are read, as far as there is room, and in order."""

import time

import fsspec
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from tests.schemas.making import rows, write

pytestmark = pytest.mark.usefixtures("own_cache")

NUM_SHARDS = 6


@pytest.fixture
def fetched(monkeypatch):
    """The numbers of the embeddings' shards that a dataset at memory://ahead has asked its store for, in order."""
    files, fetched = fsspec.filesystem("memory"), []
    write("memory://ahead", 20 * NUM_SHARDS, failures=0)
    get = type(files).cat_file

    def count(self, path, *arguments, **options):
        if "/embeddings/part-" in path:
            fetched.append(int(path.rpartition("part-")[2].partition(".")[0]))
        return get(self, path, *arguments, **options)

    monkeypatch.setattr(type(files), "cat_file", count)
    yield fetched
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def _wait_for(fetched, count):
    deadline_s = time.monotonic() + 60
    while len(fetched) < count and time.monotonic() < deadline_s:
        time.sleep(0.001)
    time.sleep(0.02)  # for one too many
    return len(fetched)


def test_blocks_are_fetched_while_others_are_read(fetched):
    with EmbeddingDataset.open("memory://ahead") as dataset:
        dataset.fetch_ahead(range(dataset.num_blocks), ["embedding"])
        assert _wait_for(fetched, NUM_SHARDS) == NUM_SHARDS
        assert dataset.rows(0, 120, ["key", "embedding"])["key"].to_pylist() == rows(120)[0]
    assert sorted(fetched) == list(range(NUM_SHARDS))


def test_no_more_is_fetched_than_has_room_before_it_is_read(fetched, monkeypatch):
    size = fsspec.filesystem("memory").info("/ahead/embeddings/part-00000.arrayrecord")["size"]
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE_BYTES", str(4 * size + 1))
    with EmbeddingDataset.open("memory://ahead") as dataset:
        dataset.fetch_ahead([15, 12, 6, 3, 0], ["embedding"])  # of three blocks a shard
        assert _wait_for(fetched, 2) == 2
        assert set(fetched) == {5, 4}
        dataset.read_block(16, ["embedding"])
        assert _wait_for(fetched, 3) == 3
        assert fetched[2] == 2
        dataset.fetch_ahead([9], ["embedding"])  # instead of the others
        assert _wait_for(fetched, 4) == 4
        assert fetched[3] == 3


def test_blocks_that_are_skipped_take_no_room(fetched, monkeypatch):
    size = fsspec.filesystem("memory").info("/ahead/embeddings/part-00000.arrayrecord")["size"]
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE_BYTES", str(4 * size + 1))
    with EmbeddingDataset.open("memory://ahead") as dataset:
        dataset.fetch_ahead(range(dataset.num_blocks), ["embedding"])  # of three blocks a shard
        assert _wait_for(fetched, 2) == 2
        dataset.skip([0, 1, 6, 7, 8], ["embedding"])
        assert _wait_for(fetched, 2) == 2  # block 2 is still needed
        dataset.skip([2], ["embedding"])
        assert _wait_for(fetched, 3) == 3
        assert (set(fetched[:2]), fetched[2]) == ({0, 1}, 3)
        dataset.skip([0, 1, 2], ["embedding"])  # again: nothing is freed twice
        assert _wait_for(fetched, 3) == 3


def test_whoever_stops_early_fetches_no_more(fetched, monkeypatch):
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE_BYTES", "1KB")
    with EmbeddingDataset.open("memory://ahead") as dataset:
        blocks = dataset.blocks(columns=["embedding"])
        next(blocks)
        blocks.close()
        _wait_for(fetched, 1)
    # The first one perhaps twice: in a cache that holds none, the second may arrive before the first is opened.
    assert set(fetched) <= {0, 1}


def test_an_error_is_raised_where_the_file_is_read(fetched):
    fsspec.filesystem("memory").pipe_file("/ahead/embeddings/part-00003.arrayrecord", b"other bytes")
    with EmbeddingDataset.open("memory://ahead") as dataset:
        blocks = dataset.blocks(columns=["embedding"])
        assert [next(blocks).first_row for _ in range(9)][-1] == 56
        with pytest.raises(DatasetError, match=r"embeddings/part-00003.arrayrecord: must have"):
            next(blocks)
