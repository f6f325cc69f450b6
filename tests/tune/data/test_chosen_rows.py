"""Blocks of chosen rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lit_precompute.tune.data.chosen_rows import blocks_of_rows
from tests.tune.data.fakes import FakeDataset


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
def test_are_those_whose_span_has_one(block_sizes, data):
    dataset = FakeDataset(block_sizes)
    chosen = data.draw(st.sets(st.integers(0, dataset.num_rows - 1)))
    found = blocks_of_rows(dataset, np.array(sorted(chosen), np.int64))
    spans = [{*range(*dataset.block_span(block))} for block in range(dataset.num_blocks)]
    assert found.tolist() == [block for block, span in enumerate(spans) if span & chosen]
    assert blocks_of_rows(dataset, None).tolist() == list(range(dataset.num_blocks))
