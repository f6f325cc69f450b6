"""Keys: those asked for are found, as a set of Python's finds them, whatever their hashes; the missing are listed."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.schemas import DatasetError, EmbeddingDataset, RowBlock
from lit_precompute.schemas.sharing.selecting import keys as keys_module
from lit_precompute.schemas.sharing.selecting.keys import Keys
from tests.schemas.making import write

STRINGS = st.text("ab\0\u96ea", max_size=20)


def _rows(keys):
    return RowBlock(0, len(keys), {"key": pa.array(keys, pa.string())})


def _keys(keys, *options):
    return Keys("keys.txt", [pa.array(keys, pa.string())], *options)


@given(asked=st.lists(STRINGS, min_size=1), there=st.lists(STRINGS, min_size=1))
def test_finds_what_a_set_finds(asked, there):
    criterion = _keys(asked)
    assert criterion.matches(_rows(there)).tolist() == [key in {*asked} for key in there]
    assert criterion.missing().to_pylist() == sorted({*asked} - {*there}, key=str.encode)
    assert len(criterion) + criterion.num_repeated == len(asked)


def test_keys_of_equal_hashes_are_compared_themselves(monkeypatch):
    monkeypatch.setattr(keys_module, "hash_strings", lambda strings: np.full(len(strings), 7, np.uint64))
    criterion = _keys(["a", "b", "c", "d"])
    assert criterion.matches(_rows(["x", "c", "a", "y", "d"])).tolist() == [False, True, True, False, True]
    assert criterion.missing().to_pylist() == ["b"]


def test_a_key_takes_17_bytes_and_its_length():
    count = 100_000
    keys = pa.array([f"{number:032x}" for number in range(count)])
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    criterion = Keys("keys.txt", [keys])
    used = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert len(criterion) == count
    assert used <= 1.02 * (17 + 32) * count


def test_missing_keys_are_listed_and_refused_beyond_the_limit(tmp_path):
    write(tmp_path / "d")
    with EmbeddingDataset.open(tmp_path / "d") as dataset:

        def finish(*options):
            criterion = _keys(["image-0003", *(f"no-{number:02d}" for number in range(12)), "no-00"], *options)
            for block in dataset.blocks(columns=["key"]):
                criterion.matches(block)
            return criterion.finish(dataset)

        words = r"keys that no row has, 12 of 13: 'no-00', .*, 'no-09' and 2 more"
        with pytest.raises(DatasetError, match=words + r"; more than --max-missing 11.*for example 'image-0000'"):
            finish("11", str(tmp_path / "unmatched.txt"))
        assert (tmp_path / "unmatched.txt").read_text().split() == [f"no-{number:02d}" for number in range(12)]
        with pytest.raises(DatasetError, match=words):
            finish("92%")  # 11.96
        repeated, missing = finish("93%")
        assert repeated == "keys.txt: 1 key repeated" and "12 of 13" in missing
    with pytest.raises(DatasetError, match=r"keys.txt: has no keys"):
        _keys([])
    with pytest.raises(DatasetError, match="--unmatched"):
        _keys(["a"], "0", "gs://bucket/unmatched.txt")
