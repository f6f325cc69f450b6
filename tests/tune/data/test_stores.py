"""Tuning on a dataset in a store: the same batches as from a disk, and the first before everything has arrived."""

import dataclasses
import threading
import time

import fsspec
import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import WordOptions, train_tokenizer
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.batches_ahead import iterate
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.texts import iterate_texts
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from tests.tune.small_runs import EXECUTION, NUM_WORDS, RECIPE, metric_lines, model_bytes, train, write_dataset

pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.standard_promotion]

# Blocks of 16 rows, two in a shard; windows of one block, which are a batch each.
SHARDS = {"rows_per_shard": 32}
WINDOWS, EVERYTHING = 5_000, 1 << 20


@pytest.fixture
def store():
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture
def places(tmp_path, store):
    """A dataset on a disk, and the same one in a store."""
    return write_dataset(tmp_path / "dataset", **SHARDS), write_dataset("memory://tune/dataset", **SHARDS)


def _source(dataset, budget):
    tokenizer = train_tokenizer(WordOptions(vocabulary_size=NUM_WORDS + 3), iterate_texts(dataset))
    text = TextOptions(max_tokens=6)
    texts = ChosenTexts({"texts": TokenisedTexts(tokenizer, text)}, text)
    return BatchSource(dataset, texts, batch_size=16, seed=3, memory_budget_bytes=budget)


def _check_equal(batch, expected):
    np.testing.assert_array_equal(batch.row_numbers, expected.row_numbers)
    np.testing.assert_array_equal(batch.texts.inputs, expected.texts.inputs)
    assert batch.images.numbers.tobytes() == expected.images.numbers.tobytes()


@pytest.mark.parametrize("bound", ["1GB", "2KB"])
@pytest.mark.parametrize("budget", [WINDOWS, EVERYTHING])
def test_batches_are_those_from_a_disk_however_small_the_cache(places, budget, bound, monkeypatch):
    monkeypatch.setenv("LIT_PRECOMPUTE_CACHE_BYTES", bound)
    with EmbeddingDataset.open(places[0]) as here, EmbeddingDataset.open(places[1]) as there:
        expected, found = _source(here, budget), _source(there, budget)
        assert found.order() == expected.order()
        for batch, step in zip(iterate(found, 0, 13), range(13), strict=True):
            _check_equal(batch, expected.batch(step))
        _check_equal(found.batch(2), expected.batch(2))
        expected.close()
        found.close()


def test_the_first_batch_waits_for_its_window_alone(places, store, monkeypatch):
    with EmbeddingDataset.open(places[0]) as here:
        expected = _source(here, WINDOWS)
        batches = [expected.batch(step) for step in range(6)]
        expected.close()
    (first_shard,) = set(batches[0].row_numbers // SHARDS["rows_per_shard"])
    first, goes_on, cat_file = f"/part-{first_shard:05d}.", threading.Event(), type(store).cat_file
    held_up = []

    def hold_up(self, path, *arguments, **options):
        if "/embeddings/part-" in path and first not in path and not goes_on.is_set():
            held_up.append(path)
            assert goes_on.wait(900)
        return cat_file(self, path, *arguments, **options)

    monkeypatch.setattr(type(store), "cat_file", hold_up)
    with EmbeddingDataset.open(places[1]) as there:
        found = _source(there, WINDOWS)
        taken = iterate(found, 0, 6)
        _check_equal(next(taken), batches[0])
        while not held_up:  # the next windows are being fetched
            time.sleep(0.001)
        goes_on.set()
        for batch, other in zip(taken, batches[1:], strict=True):
            _check_equal(batch, other)
        found.close()


@pytest.mark.slow
def test_waiting_is_reported_and_the_model_has_the_same_bits(places, store, tmp_path, monkeypatch):
    execution = dataclasses.replace(EXECUTION, memory_budget_bytes=WINDOWS)
    recipe = dataclasses.replace(RECIPE, num_steps=8)
    train(places[0], tmp_path / "here", recipe, execution)
    cat_file = type(store).cat_file

    def throttled(self, path, *arguments, **options):
        threading.Event().wait(0.05 if "/embeddings/part-" in path else 0)
        return cat_file(self, path, *arguments, **options)

    monkeypatch.setattr(type(store), "cat_file", throttled)
    train(places[1], tmp_path / "there", recipe, execution)
    assert model_bytes(tmp_path / "here") == model_bytes(tmp_path / "there")
    assert metric_lines(tmp_path / "here") == metric_lines(tmp_path / "there")
    shares = [line["waiting_share"] for line in metric_lines(tmp_path / "there", without=())]
    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) > 0
