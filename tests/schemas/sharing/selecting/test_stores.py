"""Selecting from a dataset in a store fetches the shards in which a row can match, and no others."""

import fsspec
import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import blocks_of
from lit_precompute.schemas.sharing.selecting.criteria import Labels, RowRange
from lit_precompute.schemas.sharing.selecting.finding import find_rows
from lit_precompute.schemas.sharing.selection import Selection
from tests.schemas.making import rows, write

pytestmark = pytest.mark.usefixtures("own_cache")
NUM_ROWS = 120  # in six shards
KEYS, _, _, LABELS = rows(NUM_ROWS)


@pytest.fixture
def fetched(monkeypatch):
    """The tables and numbers of the shards that a dataset at memory://selecting has asked its store for."""
    files, fetched = fsspec.filesystem("memory"), set()
    write("memory://selecting", NUM_ROWS, failures=0)
    get = type(files).cat_file

    def note(self, path, *arguments, **options):
        if "/part-" in path:
            table, _, name = path.strip("/").removeprefix("selecting/").partition("/part-")
            fetched.add((table, int(name.partition(".")[0])))
        return get(self, path, *arguments, **options)

    monkeypatch.setattr(type(files), "cat_file", note)
    yield fetched
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_shards_without_a_candidate_are_not_fetched(fetched):
    with EmbeddingDataset.open("memory://selecting") as dataset:
        found = find_rows(dataset, [RowRange(25, 65), Labels(["1"])])
    assert found.selection.rows(0, NUM_ROWS).tolist() == [row for row in range(25, 65) if LABELS[row] == "1"]
    assert fetched == {("labels", 1), ("labels", 2), ("labels", 3)}


def test_shards_without_a_selected_row_are_not_fetched(fetched):
    with EmbeddingDataset.open("memory://selecting") as dataset:
        selection = Selection.of_rows(dataset.manifest, np.array([3, 4, 99]), made_by={})
        keys = [key for _, block in blocks_of(dataset, ["key", "texts"], selection) for key in block["key"].to_pylist()]
    assert keys == [KEYS[row] for row in (3, 4, 99)]
    assert fetched == {("captions", 0), ("captions", 4)}
