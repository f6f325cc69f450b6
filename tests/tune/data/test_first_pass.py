"""Opening batches: blocks are read once, or again where memory was misjudged, within the budget and to one result."""

import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from lit_precompute.tune.data import row_index
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.joined_dataset import JoinedDataset
from lit_precompute.tune.data.row_index import NUM_BLOCK_THREADS
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from lit_precompute.tune.data.vector_reader import VectorReader
from tests.tune.data.fakes import FakeDataset
from tests.tune.data.test_batches import TEXT, TOKENIZER, check_contents, make_source

# Of every row in memory: the numbers, the orders of two epochs, and how many texts it has.
ROW_BYTES = 24 + 8


def num_reads(dataset: FakeDataset, column: str) -> int:
    return sum(name == column for _, name in dataset.reads)


def budget_of(num_rows: int, num_texts: int, width: int) -> int:
    """Returns what just holds so many rows with so many texts."""
    return num_rows * (4 * width + ROW_BYTES) + num_texts * 2 * TEXT.max_tokens


@pytest.mark.parametrize("lacking", [0, 3])
def test_everything_is_read_once_where_it_fits(lacking: int):
    texts = [[] if row % 5 < lacking else ["w1", "w2"] for row in range(200)]
    dataset = FakeDataset([20] * 9 + [7, 13], texts, width=64)
    source = make_source(dataset, batch_size=8)
    assert source.in_memory and num_reads(dataset, "texts") == num_reads(dataset, "embedding") == 11
    for step in range(2 * source.num_batches_per_epoch):
        check_contents(dataset, source.batch(step), 8)


def test_rows_that_were_not_expected_to_fit_are_read_after_the_pass():
    """Vectors of all rows would not fit, and those of the rows with a text do; texts are read once still."""
    texts = [["w1"] if row % 2 else [" "] for row in range(200)]
    dataset = FakeDataset([20] * 10, texts, width=64)
    source = make_source(dataset, batch_size=8, budget=budget_of(120, 120, 64))
    assert source.in_memory and source.num_rows == 100
    assert num_reads(dataset, "texts") == num_reads(dataset, "embedding") == 10
    for step in range(source.num_batches_per_epoch):
        check_contents(dataset, source.batch(step), 8)


def test_texts_that_were_expected_not_to_fit_are_read_again(monkeypatch):
    """The first block has so many texts that those of all rows cannot be expected to fit, and they do."""
    monkeypatch.setattr(row_index, "NUM_BLOCK_THREADS", 1)  # of several threads, others may be done before the first
    texts = [["w1", "w2"] * 40 if row < 20 else ["w1"] for row in range(200)]
    dataset = FakeDataset([20] * 10, texts, width=64)
    num_texts = sum(map(len, texts))
    source = make_source(dataset, batch_size=8, budget=budget_of(200, num_texts, 64))
    assert source.in_memory and num_reads(dataset, "texts") == 20
    for step in range(2 * source.num_batches_per_epoch):
        check_contents(dataset, source.batch(step), 8)


@pytest.mark.parametrize("share", [1.5, 1.02, 0.7])
def test_memory_stays_within_the_budget_while_batches_are_opened(share: float):
    """With room to spare, with hardly any, and in windows; above the 31 MB that the source has for a moment anyway."""
    num_rows, width = 384 * 64, 512
    dataset = FakeDataset([64] * 384, [["w1"]] * num_rows, width=width)
    budget = int(share * budget_of(num_rows, num_rows, width))
    tracemalloc.start()
    try:
        source = make_source(dataset, batch_size=256, budget=budget)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert source.in_memory == (share > 1)
    source.close()
    # Besides: the blocks that threads have just read, of which the fake dataset makes several copies.
    assert peak < budget + 4 * 5 * 64 * width * 8 < 1.2 * budget


class Recording(FakeDataset):
    """Records what is asked for ahead, and the blocks that are skipped, until whose end no vectors are read."""

    def __init__(self, *arguments, last=None, **options):
        super().__init__(*arguments, **options)
        self.asked: list[tuple[list[int], list[str]]] = []
        self.skipped: list[int] = []
        self._last, self._is_open = last, threading.Event()

    def fetch_ahead(self, blocks, columns):
        self.asked.append((list(blocks), sorted(columns)))

    def skip(self, blocks, columns):
        assert columns == ["embedding"]
        self.skipped += blocks
        if self._last in blocks:
            self._is_open.set()

    def read_block(self, block, columns):
        if "embedding" in columns and self._last is not None:
            assert self._is_open.wait(900)
        return super().read_block(block, columns)


def test_vectors_of_blocks_without_a_text_are_not_fetched_ahead():
    """Not even where only some selected rows of a block have none."""
    texts = [[] if row // 20 in (2, 3, 9) or row % 20 == 5 else ["w1"] for row in range(200)]
    dataset = Recording([20] * 10, texts)
    selected = [row for row in range(200) if row // 20 not in (0, 4) or row % 20 == 5]
    assert make_source(dataset, batch_size=8, rows=np.array(selected)).in_memory
    assert dataset.asked == [([*range(10)], ["embedding", "texts"])]
    assert sorted(dataset.skipped) == [0, 2, 3, 4, 9]


def test_each_of_joined_datasets_skips_its_own_blocks():
    texts = [[] if row // 20 in (0, 3) else ["w1"] for row in range(100)]
    datasets = [Recording([20] * 5, texts), Recording([20] * 5, [["w1"]] * 100), Recording([20] * 5, texts[::-1])]
    assert make_source(JoinedDataset(datasets), batch_size=8).in_memory
    assert [dataset.skipped for dataset in datasets] == [[0, 3], [], [1, 4]]


@pytest.mark.parametrize("num_views", [0, 2])
def test_vectors_that_no_longer_fit_are_freed_at_once(monkeypatch, num_views: int):
    """The last blocks have so many texts that twice as many do not fit; in the end everything does, in one array."""
    num_blocks, width = 40, 64
    texts = [["w1"] * (1 if row < 600 else 40) for row in range(20 * num_blocks)]
    dataset = Recording([20] * num_blocks, texts, width=width, last=None if num_views else num_blocks - 1)
    views = [Recording([20] * num_blocks, texts, width=width, last=num_blocks - 1) for _ in range(num_views)]
    allocated: list[weakref.ref[np.ndarray]] = []

    def empty(reader, num_rows):
        assert not any(array() is not None for array in allocated), "two arrays at a time"
        array = made(reader, num_rows)
        allocated.append(weakref.ref(array))
        return array

    made = VectorReader.empty
    monkeypatch.setattr(VectorReader, "empty", empty)
    budget = budget_of(len(texts), sum(map(len, texts)), max(num_views, 1) * width)
    source = make_source(dataset, batch_size=8, budget=budget, views=views)
    assert source.in_memory and len(allocated) == 2
    for each in views or [dataset]:
        assert num_blocks <= num_reads(each, "embedding") <= num_blocks + NUM_BLOCK_THREADS
        assert each.skipped == [*range(num_blocks)]
    # Texts are asked for once for each time that they are read, and nothing is asked for again when vectors are freed.
    assert sum("texts" in columns for _, columns in dataset.asked) == num_reads(dataset, "texts") // num_blocks


class Failing(FakeDataset):
    """Cannot read embeddings of its sixth block."""

    def read_block(self, block, columns):
        if block == 5 and "embedding" in columns:
            raise OSError("the disk went away")
        return super().read_block(block, columns)


def test_an_error_of_reading_vectors_is_raised_and_ends_the_threads():
    before = {*threading.enumerate()}
    with pytest.raises(OSError, match="the disk went away"):
        make_source(Failing([10] * 10), batch_size=10)
    assert {*threading.enumerate()} <= before


def test_a_wrong_batch_size_ends_the_threads():
    before = {*threading.enumerate()}
    with pytest.raises(ValueError, match="batch_size must be <= 100"):
        make_source(FakeDataset([10] * 10), batch_size=101)
    assert {*threading.enumerate()} <= before


def test_views_of_rows_with_gaps():
    """Rows without a text lie between the others: each view's vectors are its own rows' all the same."""
    texts = [["w1"] if row % 3 else [] for row in range(60)]
    plain = FakeDataset([7] * 8 + [4], texts, width=64)
    views = [FakeDataset([7] * 8 + [4], texts, width=64, first=1_000 * view) for view in (1, 2)]
    chosen = ChosenTexts({"texts": TokenisedTexts(TOKENIZER, TEXT)}, TEXT)
    source = BatchSource(plain, chosen, batch_size=40, seed=0, memory_budget_bytes=1 << 30, views=views)
    assert source.in_memory and source.num_rows == 40
    batch = source.batch(0)
    drawn = (batch.images.numbers[:, 0] // 1_000).astype(int)
    np.testing.assert_array_equal(batch.images.numbers[:, 0], batch.row_numbers + 1_000 * drawn)
    assert {*drawn} == {1, 2}
