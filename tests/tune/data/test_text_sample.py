"""A bounded sample of texts: all of a small dataset, and evenly spread ones of a large one."""

import numpy as np

from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_sample import sample_texts
from tests.tune.data.fakes import FakeDataset

OPTIONS = TextOptions()


def test_a_small_datasets_texts_are_all_in_it():
    dataset = FakeDataset([2, 1], [["a", " ", "b"], [], ["c"]])
    assert sample_texts(dataset, OPTIONS) == {"texts": ["a", "b", "c"]}  # pyright: ignore[reportArgumentType]
    joined = TextOptions(choice="join", separator=", ")
    assert sample_texts(dataset, joined) == {"texts": ["a, b", "c"]}  # pyright: ignore[reportArgumentType]


def test_a_large_datasets_sample_is_bounded_and_spread():
    dataset = FakeDataset([100] * 200, [[f"text {row}"] for row in range(20_000)])
    texts = sample_texts(dataset, OPTIONS)["texts"]  # pyright: ignore[reportArgumentType]
    assert len(texts) == 64 * 64
    rows = np.array([int(text.split()[1]) for text in texts])
    assert (np.diff(rows) > 0).all() and rows[0] == 0 and rows[-1] > 19_500
    assert len(dataset.reads) == 64


def test_few_blocks_contribute_more_of_theirs():
    dataset = FakeDataset([3_000, 3_000], [[f"text {row}"] for row in range(6_000)])
    texts = sample_texts(dataset, OPTIONS)["texts"]  # pyright: ignore[reportArgumentType]
    assert len(texts) == len({*texts}) == 4_096


def test_only_chosen_rows_are_in_it():
    dataset = FakeDataset([3, 3, 3], [[f"text {row}"] for row in range(9)])
    assert sample_texts(dataset, OPTIONS, np.array([1, 7, 8]))["texts"] == ["text 1", "text 7", "text 8"]  # pyright: ignore[reportArgumentType]
    assert {block for block, _ in dataset.reads} == {0, 2}


def test_no_texts():
    assert sample_texts(FakeDataset([2], [[], [" "]]), OPTIONS) == {"texts": []}  # pyright: ignore[reportArgumentType]
