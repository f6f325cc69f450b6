"""Views: drawn by seed, epoch and row number, alike in memory and in windows, and read only where drawn."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.mixtures import mix
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.data.parts import Part
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from lit_precompute.tune.data.views import draw_views
from tests.tune.data.fakes import FakeDataset
from tests.tune.data.test_mixtures import TEXT, TOKENIZER

PLENTY = 2**30
STEP = 1_000  # row r's vector in view v is that of row r + STEP * (v + 1)


def make_source(block_sizes, num_views, *, seed=0, windowed=False, vector_type="float32", **options):
    plain = FakeDataset(block_sizes, width=64)
    views = [
        FakeDataset(block_sizes, width=64, vector_type=vector_type, first=STEP * (view + 1))
        for view in range(num_views)
    ]
    texts = ChosenTexts({"texts": TokenisedTexts(TOKENIZER, TEXT)}, TEXT)
    num_bytes = 64 + 4 if vector_type == "int8" else 64 * 4
    budget = 8 * plain.num_rows + 2 * max(block_sizes) * (num_bytes + 4 * 4 + 16) if windowed else PLENTY
    source = BatchSource(plain, texts, batch_size=3, seed=seed, memory_budget_bytes=budget, views=views, **options)
    assert windowed or source.in_memory
    return source, plain, views


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 5), min_size=3, max_size=6),
    st.integers(1, 4),
    st.integers(0, 99),
    st.booleans(),
    st.sampled_from(["float32", "int8"]),
)
def test_a_row_has_the_view_that_its_epoch_draws(block_sizes, num_views, seed, windowed, vector_type):
    source, plain, views = make_source(block_sizes, num_views, seed=seed, windowed=windowed, vector_type=vector_type)
    for step in (0, 1, 2 * source.num_batches_per_epoch, 0):
        batch = source.batch(step)
        drawn = draw_views(seed, step // source.num_batches_per_epoch, batch.row_numbers, num_views)
        expected = [views[view].exact([row])[0] for view, row in zip(drawn, batch.row_numbers, strict=True)]
        np.testing.assert_allclose(batch.images.to_float32(), np.stack(expected), rtol=1e-6)
    assert source.order()["num_views"] == num_views
    assert not [column for _, column in plain.reads if column == "embedding"]
    source.close()


def test_each_view_is_drawn_equally_often_and_anew_in_each_epoch():
    rows, counts = np.arange(3_000), collections.Counter()
    epochs = [draw_views(7, epoch, rows, 5) for epoch in range(20)]
    for drawn in epochs:
        counts.update(drawn.tolist())
    deviation = np.sqrt(60_000 * 0.2 * 0.8)
    assert {*counts} == {*range(5)}
    assert all(abs(count - 12_000) < 5 * deviation for count in counts.values())
    same = np.mean(epochs[0] == epochs[1])
    assert abs(same - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 3_000)
    np.testing.assert_array_equal(draw_views(7, 3, rows[5:9], 5), epochs[3][5:9])  # by number, not by place


def test_in_windows_a_view_of_a_block_is_read_only_where_a_row_has_drawn_it():
    source, _, views = make_source([2] * 12, 8, windowed=True)
    assert not source.in_memory
    for step in range(source.num_batches_per_epoch):
        source.batch(step)
    source.close()
    drawn = draw_views(0, 0, np.arange(24), 8)
    wanted = {(block, view) for block in range(12) for view in drawn[2 * block : 2 * block + 2].tolist()}
    ahead = draw_views(0, 1, np.arange(24), 8)
    may_be_ahead = {(block, view) for block in range(12) for view in ahead[2 * block : 2 * block + 2].tolist()}
    found = {(block, number) for number, view in enumerate(views) for block, _ in view.reads}
    assert wanted <= found <= wanted | may_be_ahead
    assert len(wanted) < 12 * 8 / 3


def test_all_views_count_in_memory():
    one, _, _ = make_source([5, 5], 1)
    four, _, _ = make_source([5, 5], 4)
    assert four.num_bytes - one.num_bytes == 3 * 10 * 64 * 4


def test_views_of_several_datasets():
    """Joined, all must have as many; alternating, each draws of its own."""

    def part(number, num_views):
        _, plain, views = make_source([4, 4], num_views)
        texts = ChosenTexts({"texts": TokenisedTexts(TOKENIZER, TEXT)}, TEXT)
        for dataset in (plain, *views):
            dataset.path, dataset.first = f"fake-{number}", dataset.first + 100 * number
        return Part(plain, texts, None, views)

    def batches(parts, mixture):
        options = DataOptions(mixture=mixture)
        return mix(parts, options, batch_size=3, seed=0, memory_budget_bytes=PLENTY)

    joined = batches([part(0, 2), part(1, 2)], "joined")
    rows = joined.batch(0).row_numbers
    drawn = draw_views(0, 0, rows, 2)
    vectors = joined.batch(0).images.numbers[:, 0]
    np.testing.assert_array_equal(vectors, rows % 8 + 100 * (rows // 8) + STEP * (drawn + 1))
    with pytest.raises(
        ValueError, match=r"must have equally many views: fake-0 has 2, fake-1 has 3; give data\.mixture"
    ):
        batches([part(0, 2), part(1, 3)], "joined")
    alternating = batches([part(0, 2), part(1, 3)], "alternate")
    assert [share.num_views for share in alternating.shares(4)] == [2, 3]
    assert [(order["0.num_views"], order["1.num_views"]) for order in [alternating.order()]] == [(2, 3)]
    assert alternating.batch(1).images.numbers.min() < 0 < alternating.batch(1).images.numbers.max()
