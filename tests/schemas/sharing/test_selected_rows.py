"""Reading selected rows: their numbers and contents, and no other block."""

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import blocks_of, example_rows, open_selection, rows_of
from lit_precompute.schemas.sharing.selection import Selection
from tests.schemas.making import rows, write

NUM_ROWS = 50
KEYS = rows(NUM_ROWS)[0]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset")
    write(path, NUM_ROWS)
    with EmbeddingDataset.open(path) as dataset:
        yield dataset


@pytest.mark.parametrize("selected", [range(NUM_ROWS), [0, 3, 48], [*range(8, 16), 30]])
def test_rows_come_with_their_numbers_and_other_blocks_are_not_read(dataset, selected, monkeypatch):
    selection = Selection.of_rows(dataset.manifest, np.array(selected), made_by={})
    read, read_block = [], dataset.read_block
    monkeypatch.setattr(dataset, "read_block", lambda block, columns: read.append(block) or read_block(block, columns))
    numbers, keys = [], []
    for rows_here, block in blocks_of(dataset, ["key"], selection):
        numbers += rows_here.tolist()
        keys += block["key"].to_pylist()
    assert numbers == rows_of(selection).tolist() == list(selected)
    assert keys == [KEYS[row] for row in selected]
    spans = map(dataset.block_span, range(dataset.num_blocks))
    assert read == [block for block, span in enumerate(spans) if {*range(*span)} & {*selected}]


def test_without_a_selection_all_rows_come(dataset):
    assert [row for numbers, _ in blocks_of(dataset, ["key"], None) for row in numbers] == list(range(NUM_ROWS))


def test_refuses_selections_that_cannot_be_used(dataset, tmp_path):
    empty = Selection.of_rows(dataset.manifest, np.zeros(0, np.int64), made_by={})
    empty.save(tmp_path / "empty.selection")
    with pytest.raises(DatasetError, match=r"empty.selection: none of the 50 rows of .* is selected"):
        open_selection(str(tmp_path / "empty.selection"), dataset)
    with pytest.raises(DatasetError, match="none of the 50 rows"):
        list(blocks_of(dataset, ["key"], empty))
    other = Selection.of_rows(write(tmp_path / "other", 40), np.array([1]), made_by={})
    other.save(tmp_path / "other.selection")
    with pytest.raises(DatasetError, match=r"other.selection: was made of the rows of another dataset"):
        open_selection(str(tmp_path / "other.selection"), dataset)
    with pytest.raises(FileNotFoundError):
        open_selection(str(tmp_path / "absent.selection"), dataset)


@pytest.mark.parametrize(("selected", "shown"), [(range(NUM_ROWS), [0, 12, 25, 37]), ([3, 48], [3, 48]), ([], [])])
def test_examples_are_spread_over_the_selected_rows(dataset, selected, shown):
    selection = Selection.of_rows(dataset.manifest, np.array(selected, np.int64), made_by={})
    examples = example_rows(dataset, selection, 4)
    assert [each["row"] for each in examples] == shown
    assert [each["key"] for each in examples] == [KEYS[row] for row in shown]
    assert all({*each} == {"row", "key", "texts", "label"} for each in examples)
