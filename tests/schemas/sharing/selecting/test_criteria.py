"""Criteria of places, selections and labels."""

import numpy as np
import pyarrow as pa
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset, RowBlock
from lit_precompute.schemas.sharing.selecting.criteria import Labels, OfSelections, RowRange
from lit_precompute.schemas.sharing.selection import Selection
from tests.schemas.making import write

NUM_ROWS = 50


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path, NUM_ROWS)
    with EmbeddingDataset.open(path) as dataset:
        yield dataset


def _rows(criterion, dataset, columns=()):
    """Returns the numbers of the rows that match, block by block."""
    found = []
    for block in range(dataset.num_blocks):
        start, stop = dataset.block_span(block)
        rows = dataset.read_block(block, columns) if columns else RowBlock(start, stop - start, {})
        found += (start + np.flatnonzero(criterion.matches(rows))).tolist()
    return found


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 23), (0, NUM_ROWS), (49, 50)])
def test_a_range_of_rows(dataset, start, stop):
    criterion = RowRange(start, stop)
    criterion.check(dataset)
    assert _rows(criterion, dataset) == list(range(start, stop))


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 3), (4, 3), (0, NUM_ROWS + 1)])
def test_refuses_rows_that_there_are_not(dataset, start, stop):
    with pytest.raises(DatasetError, match=rf"within \[0, 50\) and not empty, got \[{start}, {stop}\)"):
        RowRange(start, stop).check(dataset)


@pytest.mark.parametrize("sets", [[{1, 8, 20, 49}], [{1, 8, 20, 49}, {8, 9, 20}], [{1, 2}, {2, 3}, {2, 40}]])
def test_set_operations_are_pythons(dataset, sets):
    selections = {
        f"{number}.selection": Selection.of_rows(dataset.manifest, np.array(sorted(rows)), made_by={})
        for number, rows in enumerate(sets)
    }
    expected = {
        "all-of": set.intersection(*sets),
        "any-of": set.union(*sets),
        "none-of": {*range(NUM_ROWS)} - set.union(*sets),
    }
    for name, rows in expected.items():
        criterion = OfSelections(name, selections)
        criterion.check(dataset)
        assert _rows(criterion, dataset) == sorted(rows)
        assert criterion.made_by() == {"selections": {path: each.digest for path, each in selections.items()}}


def test_refuses_a_selection_of_another_dataset(dataset, tmp_path):
    other = write(tmp_path / "other", NUM_ROWS - 1)
    selection = Selection.of_rows(other, np.array([1]), made_by={})
    with pytest.raises(DatasetError, match=r"theirs\.selection: was made of the rows of another dataset"):
        OfSelections("all-of", {"theirs.selection": selection}).check(dataset)


def test_labels_by_name_and_number():
    there = ["cat", "3", "3.0", "dog ", "", "cafe\u0301", "-1", "33", "3.5"]
    rows = RowBlock(0, len(there), {"label": pa.array(there)})
    for asked, expected in [
        (["cat"], [0]),
        (["3"], [1, 2]),
        (["3.00", "dog"], [1, 2, 3]),
        (["caf\u00e9"], [5]),
        (["-1"], [6]),
        (["Cat"], []),
        (["3.5"], [8]),
    ]:
        assert np.flatnonzero(Labels(asked).matches(rows)).tolist() == expected


def test_labels_that_no_row_has_are_named(dataset):
    criterion = Labels(["3", "cat"])
    assert _rows(criterion, dataset, ["label"]) == list(range(3, NUM_ROWS, 4))
    assert criterion.finish(dataset) == ["no row has the label 'cat'; there are 4, such as '0', '1', '2', '3'"]


def test_refuses_a_dataset_without_labels(tmp_path):
    write(tmp_path / "d")
    words = "selecting by label needs the column 'label'; it has"
    tables = ["embeddings", "captions"]
    with EmbeddingDataset.open(tmp_path / "d", tables=tables) as dataset, pytest.raises(DatasetError, match=words):
        Labels(["3"]).check(dataset)
