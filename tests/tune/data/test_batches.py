"""Batches: a function of (seed, step), every row seen equally often, windows by definition, bounded memory."""

import pathlib
import threading
import time
import tracemalloc

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, TowerCard, VectorType, captions_table
from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.batches_ahead import iterate
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from tests.tune.data.fakes import FakeDataset

TOKENIZER = WordTokenizer([f"w{row}" for row in range(3_000)] + ["t0", "t1"])
TEXT = TextOptions(max_tokens=4)
PLENTY = 2**30


def make_source(
    dataset: FakeDataset, *, batch_size: int, seed: int = 0, budget: int = PLENTY, **options
) -> BatchSource:
    options = {"text": TEXT, "tokenizer": TOKENIZER} | options
    tokenizer, text = options.pop("tokenizer"), options.pop("text")
    return BatchSource(
        dataset,  # pyright: ignore[reportArgumentType]
        ChosenTexts({"texts": TokenisedTexts(tokenizer, text)}, text),
        batch_size=batch_size,
        seed=seed,
        memory_budget_bytes=budget,
        **options,
    )


def window_budget(dataset: FakeDataset, *, blocks: int, itemsize: int = 4, tokens_resident: bool = False) -> int:
    """Returns a budget for windows of this many full blocks."""
    largest = max(stop - start for start, stop in map(dataset.block_span, range(dataset.num_blocks)))
    kept = 8 * dataset.num_rows
    if tokens_resident:
        kept += 8 * dataset.num_rows + sum(map(len, dataset.texts)) * 4 * 2
    return kept + 2 * blocks * largest * (dataset.width * itemsize + 4 * TEXT.max_tokens + 16)


def as_tuple(batch) -> tuple[bytes, ...]:
    return tuple(array.tobytes() for array in jax.tree.leaves(batch))


def check_contents(dataset: FakeDataset, batch, batch_size: int):
    """Checks that embeddings and tokens belong to the batch's row numbers."""
    assert batch.row_numbers.shape == (batch_size,) and batch.row_numbers.dtype == np.int64
    assert len(np.unique(batch.row_numbers)) == batch_size
    expected = dataset.vectors(batch.row_numbers)
    assert batch.images.numbers.dtype == expected.dtype
    np.testing.assert_array_equal(batch.images.numbers, expected)
    if dataset.vector_type == "int8":
        assert batch.images.scales.dtype == np.float32
        np.testing.assert_array_equal(batch.images.scales, dataset.scales(batch.row_numbers))
    else:
        assert batch.images.scales is None
    assert batch.texts.inputs.shape == (batch_size, 4) and batch.texts.inputs.dtype == np.int32
    for row, tokens in zip(batch.row_numbers, batch.texts.inputs, strict=True):
        choices = TOKENIZER.encode([text for text in dataset.texts[row] if text.strip()], 4).tolist()
        assert tokens.tolist() in choices


@st.composite
def draw_block_sizes(draw) -> list[int]:
    """Blocks as in a dataset of several shards: full ones, and some shorter ones."""
    full = draw(st.integers(1, 7))
    return draw(st.lists(st.sampled_from([full, full, full, draw(st.integers(1, full))]), min_size=4, max_size=12))


@st.composite
def sources(draw):
    """A dataset in which some rows may have no text or not be selected, and options to read it."""
    block_sizes = draw(draw_block_sizes())
    num_rows = sum(block_sizes)
    kinds = [[], [""], ["w1"], ["w2", "w3"], ["w4", " ", "w5", "w6 t1 t0 w7"]]
    texts = [draw(st.sampled_from(kinds)) for _ in range(num_rows)]
    selected = draw(st.none() | st.sets(st.integers(0, num_rows - 1), min_size=1))
    rows = None if selected is None else np.array(sorted(selected))
    forced = 0 if rows is None else int(rows[0])
    texts[forced] = ["w0"]
    vector_type = draw(st.sampled_from(["float32", "float16", "bfloat16", "int8"]))
    # Wide enough that the budget for windows does not hold everything.
    dataset = FakeDataset(block_sizes, texts, width=128, vector_type=vector_type)
    usable = [r for r in range(num_rows) if any(t.strip() for t in texts[r]) and (rows is None or r in rows)]
    batch_size = draw(st.integers(1, len(usable)))
    windows = draw(st.sampled_from([1, 2, 3, None]))
    budget = PLENTY if windows is None else window_budget(dataset, blocks=windows)
    return dataset, usable, {"batch_size": batch_size, "seed": draw(st.integers(0, 99)), "rows": rows, "budget": budget}


@settings(max_examples=150)
@given(given_source=sources(), data=st.data())
def test_a_batch_is_a_function_of_seed_and_step(given_source, data):
    dataset, _, options = given_source
    source = make_source(dataset, **options)
    in_turn = [source.batch(step) for step in range(3 * source.num_batches_per_epoch)]
    for batch in in_turn:
        check_contents(dataset, batch, options["batch_size"])
    steps = data.draw(st.lists(st.integers(0, len(in_turn) - 1), max_size=8))
    other = make_source(dataset, **options)
    for step in steps:
        assert as_tuple(other.batch(step)) == as_tuple(in_turn[step])
    source.close()
    other.close()


@settings(max_examples=100)
@given(given_source=sources(), num_epochs=st.integers(1, 6))
def test_every_row_is_seen_equally_often(given_source, num_epochs: int):
    dataset, usable, options = given_source
    source = make_source(dataset, **options)
    assert source.num_rows == len(usable)
    selected = dataset.num_rows if options["rows"] is None else len(options["rows"])
    assert source.num_rows_without_text == selected - len(usable)
    chosen = range(dataset.num_rows) if options["rows"] is None else options["rows"]
    assert source.fields["texts"].num_blank == sum(not text.strip() for row in chosen for text in dataset.texts[row])
    counts = np.zeros(dataset.num_rows, int)
    for epoch in range(num_epochs):
        first = epoch * source.num_batches_per_epoch
        batches = [source.batch(first + number) for number in range(source.num_batches_per_epoch)]
        seen = np.concatenate([batch.row_numbers for batch in batches])
        assert len(np.unique(seen)) == len(seen) == source.num_batches_per_epoch * options["batch_size"]
        counts[seen] += 1
        assert counts[usable].max() - counts[usable].min() <= 1
    assert counts.sum() == counts[usable].sum()
    source.close()


def window_definition(dataset: FakeDataset, seed: int, epoch: int, batch_size: int, num_windows: int) -> list[int]:
    """The documented order of an epoch, in lists; every row has a text here."""
    num_blocks, num_rows = dataset.num_blocks, dataset.num_rows
    absent = set(random_draws.left_out(seed, epoch, num_rows, num_rows % batch_size).tolist())
    blocks = random_draws.permutation(random_draws.make_key(seed, random_draws.BLOCKS, epoch), num_blocks).tolist()
    order = []
    for number in range(num_windows):
        inside = blocks[number * num_blocks // num_windows : (number + 1) * num_blocks // num_windows]
        rows = [row for block in inside for row in range(*dataset.block_span(block)) if row not in absent]
        places = random_draws.permutation(random_draws.make_key(seed, random_draws.WINDOW, epoch, number), len(rows))
        placed = dict(zip(places.tolist(), rows, strict=True))
        order += [placed[place] for place in range(len(rows))]
    return order


@settings(max_examples=80)
@given(
    block_sizes=draw_block_sizes(),
    share=st.floats(0, 1),
    blocks_per_window=st.integers(1, 4),
    seed=st.integers(0, 99),
    tokens_resident=st.booleans(),
)
def test_windows_equal_their_definition(block_sizes, share, blocks_per_window, seed, tokens_resident):
    # Where vectors are wide, tokens fit a quarter of the budget.
    dataset = FakeDataset(block_sizes, width=400 if tokens_resident else 40)
    batch_size = max(1, int(dataset.num_rows * share))
    budget = window_budget(dataset, blocks=blocks_per_window, tokens_resident=tokens_resident)
    source = make_source(dataset, batch_size=batch_size, seed=seed, budget=budget)
    if source.in_memory:
        return
    num_windows = source.order()["num_windows"]
    for epoch in range(2):
        num_batches = source.num_batches_per_epoch
        expected = window_definition(dataset, seed, epoch, batch_size, num_windows)
        seen = [source.batch(epoch * num_batches + number).row_numbers for number in range(num_batches)]
        assert np.concatenate(seen).tolist() == expected
    source.close()


def test_tokens_are_the_same_in_memory_from_the_table_and_encoded_on_demand():
    """The text of a row depends on seed, epoch and row, so all ways of reading must agree."""
    narrow, wide = FakeDataset([50] * 20, width=4), FakeDataset([50] * 20, width=400)
    resident = make_source(narrow, batch_size=100)
    encoding = make_source(narrow, batch_size=100, budget=window_budget(narrow, blocks=2))
    table = make_source(wide, batch_size=100, budget=window_budget(wide, blocks=2, tokens_resident=True))
    assert [source.in_memory for source in (resident, encoding, table)] == [True, False, False]
    for epoch in range(2):
        tokens = [np.zeros((1_000, 4), int) for _ in range(3)]
        for source, found in zip((resident, encoding, table), tokens, strict=True):
            for number in range(10):
                batch = source.batch(epoch * 10 + number)
                found[batch.row_numbers] = batch.texts.inputs
        np.testing.assert_array_equal(tokens[0], tokens[1])
        np.testing.assert_array_equal(tokens[0], tokens[2])
    # The table is read and encoded once: no batch reads captions.
    assert sorted(block for block, column in wide.reads if column == "texts") == list(range(20))


@pytest.mark.parametrize(("blocks", "num_windows"), [(1, 20), (3, 7), (9, 3)])
@pytest.mark.parametrize("tokens_resident", [True, False])
def test_the_budget_decides_the_windows(blocks: int, num_windows: int, tokens_resident: bool):
    dataset = FakeDataset([50] * 20, width=400 if tokens_resident else 4)
    budget = window_budget(dataset, blocks=blocks, tokens_resident=tokens_resident)
    source = make_source(dataset, batch_size=10, budget=budget)
    assert source.order()["num_windows"] == num_windows
    source.close()


def test_seeds_and_epochs_give_other_orders():
    dataset = FakeDataset([10] * 10)
    orders = [
        make_source(dataset, batch_size=100, seed=seed, budget=budget).batch(epoch).row_numbers.tolist()
        for budget in (PLENTY, window_budget(dataset, blocks=3))
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 8
    assert all(sorted(order) == list(range(100)) for order in orders)


def test_joined_texts_have_all_words():
    dataset = FakeDataset([2], [["w1", "", "w2"], ["w3"]])
    source = make_source(dataset, batch_size=2, text=TextOptions(choice="join", max_tokens=4))
    batch = source.batch(0)
    tokens = dict(zip(batch.row_numbers.tolist(), batch.texts.inputs.tolist(), strict=True))
    assert tokens == {0: [4, 5, 1, 1], 1: [6, 1, 1, 1]}


def write_dataset(folder: pathlib.Path, vector_type: VectorType) -> EmbeddingDataset:
    """Writes the fake's 60 rows as three shards, each of blocks of 8 and a short one."""
    fake = FakeDataset([60], width=32, vector_type=vector_type)
    card = TowerCard(
        name="none",
        architecture={},
        weights_sha256="0" * 64,
        preprocessing={},
        output_width=32,
        pooling="none",
        num_parameters=0,
        fingerprint="0" * 64,
    )
    source = SourceInfo(kind="table", path="none", files=[])
    options = {"tables": [captions_table()], "vector_type": vector_type, "rows_per_shard": 20, "block_rows": 8}
    with DatasetWriter(folder, tower=card, source=source, **options) as writer:
        rows, columns = np.arange(60), {"captions": {"texts": fake.texts}}
        writer.write(keys=list(map(str, rows)), embeddings=fake.exact(rows), columns=columns)
    return EmbeddingDataset.open(folder)


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("windows", [False, True])
def test_reads_a_dataset_on_disk_as_it_reads_the_fake(windows: bool, vector_type: VectorType, tmp_path: pathlib.Path):
    dataset = write_dataset(tmp_path / "dataset", vector_type)
    fake = FakeDataset([8, 8, 4] * 3, width=32, vector_type=vector_type)
    budget = window_budget(fake, blocks=2, itemsize=fake.vectors([0]).itemsize) if windows else PLENTY
    options = {"batch_size": 13, "seed": 5, "budget": budget, "rows": np.arange(1, 59)}
    real, expected = (make_source(source, **options) for source in (dataset, fake))  # pyright: ignore
    assert real.in_memory is not windows
    for step in (*range(9), 2, 7, 1):
        batch = real.batch(step)
        check_contents(fake, batch, 13)
        assert as_tuple(batch) == as_tuple(expected.batch(step))
    real.close()
    expected.close()


@pytest.mark.parametrize("windows", [False, True])
def test_int8_embeddings_stay_int8_in_memory(windows: bool):
    """They take a quarter of float32's memory, which is why they are not converted when read."""
    peaks = {}
    for vector_type in ("float32", "int8"):
        dataset = FakeDataset([256] * 16, [["w1"]] * 4096, width=256, vector_type=vector_type)
        budget = window_budget(dataset, blocks=4, itemsize=dataset.vectors([0]).itemsize) if windows else PLENTY
        tracemalloc.start()
        try:
            source = make_source(dataset, batch_size=64, budget=budget)
            check_contents(dataset, source.batch(0), 64)
            assert source.in_memory is not windows
            peaks[vector_type] = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        source.close()
    assert peaks["int8"] < 0.4 * peaks["float32"]


def test_batches_in_order_read_each_block_once_per_epoch():
    dataset = FakeDataset([10] * 12)
    source = make_source(dataset, batch_size=7, budget=window_budget(dataset, blocks=3))
    dataset.reads.clear()
    for step in range(source.num_batches_per_epoch):
        source.batch(step)
    source.close()
    blocks = [block for block, column in dataset.reads if column == "embedding"]
    # All windows of the epoch once, then the next epoch's first, which is read ahead.
    assert sorted(blocks[:12]) == list(range(12))
    assert len(blocks) <= 15


def test_memory_stays_within_the_budget():
    dataset = FakeDataset([256] * 64, [["w1"]] * (256 * 64), width=256)
    all_vectors = dataset.num_rows * dataset.width * 4
    budget = all_vectors // 4
    source = make_source(dataset, batch_size=256, budget=budget)
    assert not source.in_memory
    tracemalloc.start()
    try:
        for step in range(source.num_batches_per_epoch + 3):
            source.batch(step)
        for step in (5, 50, 3, 40):
            source.batch(step)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        source.close()
    # Besides the windows: one batch, and of each of four threads a block, of which the fake dataset makes copies.
    spare = 256 * dataset.width * (4 + 4 * 12)
    assert budget / 3 < peak < budget + spare < all_vectors / 2


def test_a_failed_read_is_raised_and_read_again():
    class Failing(FakeDataset):
        broken = False

        def read_block(self, block, columns):
            if self.broken and "embedding" in columns:
                raise OSError("the disk went away")
            return super().read_block(block, columns)

    dataset = Failing([10] * 10)
    source = make_source(dataset, batch_size=10, budget=window_budget(dataset, blocks=2))
    dataset.broken = True
    with pytest.raises(OSError, match="the disk went away"):
        source.batch(0)
    dataset.broken = False
    check_contents(dataset, source.batch(0), 10)
    source.close()


def test_iterating_gives_the_batches_in_order():
    source = make_source(FakeDataset([10] * 10), batch_size=8)
    batches = list(iterate(source, 5, 20))
    assert [as_tuple(batch) for batch in batches] == [as_tuple(source.batch(step)) for step in range(5, 25)]
    assert list(iterate(source, 3, 0)) == []


class _Recording:
    """Returns the step as its batch, records requests, and fails at one step."""

    def __init__(self, fails_at: int | None = None):
        self.steps: list[int] = []
        self.fails_at = fails_at

    def batch(self, step: int):
        self.steps.append(step)
        if step == self.fails_at:
            raise OSError(f"no batch {step}")
        return step


def wait_until(condition) -> None:
    deadline = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_stays_two_batches_ahead_and_no_more():
    source = _Recording()
    batches = iterate(source, 0, 10)  # pyright: ignore[reportArgumentType]
    assert next(batches) == 0
    wait_until(lambda: source.steps == [0, 1, 2])
    assert next(batches) == 1
    wait_until(lambda: source.steps == [0, 1, 2, 3])
    time.sleep(0.05)
    assert source.steps == [0, 1, 2, 3]
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_an_error_in_the_thread_is_raised_at_its_step():
    before = {*threading.enumerate()}
    batches = iterate(_Recording(fails_at=2), 0, 10)  # pyright: ignore[reportArgumentType]
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(OSError, match="no batch 2"):
        next(batches)
    assert {*threading.enumerate()} <= before


def test_closing_early_ends_the_thread():
    before = {*threading.enumerate()}
    batches = iterate(_Recording(), 0, 10**9)  # pyright: ignore[reportArgumentType]
    assert next(batches) == 0
    assert len({*threading.enumerate()} - before) == 1
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert {*threading.enumerate()} <= before


@settings(max_examples=60)
@given(data=st.data(), block_sizes=draw_block_sizes(), seed=st.integers(0, 3), windowed=st.booleans())
def test_only_chosen_rows_are_in_batches_each_once_an_epoch(data, block_sizes, seed: int, windowed: bool):
    dataset = FakeDataset(block_sizes)
    chosen = data.draw(st.sets(st.integers(0, dataset.num_rows - 1), min_size=1))
    rows = np.array(sorted(chosen))
    batch_size = data.draw(st.integers(1, len(rows)))
    budget = window_budget(dataset, blocks=2) if windowed else PLENTY
    source = make_source(dataset, batch_size=batch_size, seed=seed, budget=budget, rows=rows)
    assert (source.num_rows, source.num_batches_per_epoch) == (len(rows), len(rows) // batch_size)
    for epoch in range(2):
        seen = []
        for step in range(source.num_batches_per_epoch):
            batch = source.batch(epoch * source.num_batches_per_epoch + step)
            check_contents(dataset, batch, batch_size)
            seen += batch.row_numbers.tolist()
        assert len({*seen}) == len(seen) and {*seen} <= chosen
        assert len(seen) == len(rows) - len(rows) % batch_size
    step = source.num_batches_per_epoch * 2 - 1  # the last one again, from a source that has read nothing else
    again = make_source(dataset, batch_size=batch_size, seed=seed, budget=budget, rows=rows)
    assert as_tuple(again.batch(step)) == as_tuple(batch)
    owners = {block for block in range(dataset.num_blocks) if chosen & {*range(*dataset.block_span(block))}}
    assert {block for block, _ in dataset.reads} == owners  # no other block is read
    source.close()
    again.close()


def test_says_how_many_rows_an_epoch_reads():
    dataset = FakeDataset([10] * 20)
    rows = np.arange(3, 100, 5)  # two in each of the first ten blocks
    budget = 8 * len(rows) + 2 * 2 * 2 * (dataset.width * 4 + 4 * TEXT.max_tokens + 16)
    source = make_source(dataset, batch_size=5, rows=rows, budget=budget)
    assert (source.num_rows, source.num_rows_read, source.in_memory) == (20, 100, False)
    before = len(dataset.reads)
    for step in range(source.num_batches_per_epoch):
        source.batch(step)
    source.close()
    read = {block for block, column in dataset.reads[before:] if column == "embedding"}
    assert 10 * len(read) == source.num_rows_read
    assert make_source(dataset, batch_size=5, rows=rows).num_rows_read == 0


@pytest.mark.parametrize("budget_blocks", [None, 2])
def test_choosing_all_rows_changes_nothing(budget_blocks):
    dataset = FakeDataset([7, 7, 3, 7, 5])
    budget = PLENTY if budget_blocks is None else window_budget(dataset, blocks=budget_blocks)
    every = make_source(dataset, batch_size=4, budget=budget, rows=np.arange(dataset.num_rows))
    without = make_source(dataset, batch_size=4, budget=budget)
    assert [as_tuple(every.batch(step)) for step in range(15)] == [as_tuple(without.batch(step)) for step in range(15)]
    assert every.order() == without.order()
    every.close()
    without.close()


def test_order_returns_what_it_depends_on():
    dataset = FakeDataset([10] * 10)
    assert make_source(dataset, batch_size=8).order() == {"kind": "rows", "batch_size": 8, "num_rows": 100}
    source = make_source(dataset, batch_size=8, budget=window_budget(dataset, blocks=3))
    assert source.order() == {"kind": "windows", "num_windows": 4, "batch_size": 8, "num_rows": 100}


def test_refuses_what_cannot_be_batched():
    dataset = FakeDataset([3, 3], [["w1"]] * 5 + [[" "]])
    with pytest.raises(ValueError, match=r"batch_size must be <= 5, .*got 6"):
        make_source(dataset, batch_size=6)
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        make_source(dataset, batch_size=0)
    with pytest.raises(ValueError, match=r"must hold the row numbers and two blocks, 328 here, got 100"):
        make_source(dataset, batch_size=2, budget=100)
    with pytest.raises(ValueError, match="none of the 1 rows has a text"):
        make_source(dataset, batch_size=1, rows=np.array([5]))
    with pytest.raises(ValueError, match="they must agree"):
        make_source(dataset, batch_size=1, tokenizer=WordTokenizer(["w1"], lower_case=False))
    for rows in ([1, 1], [3, 2], [-1, 2], [2, 6]):
        with pytest.raises(ValueError, match=r"rows must be ascending, each once and in \[0, 6\)"):
            make_source(dataset, batch_size=1, rows=np.array(rows))
    with pytest.raises(IndexError, match="step must be >= 0, got -1"):
        make_source(dataset, batch_size=1).batch(-1)
