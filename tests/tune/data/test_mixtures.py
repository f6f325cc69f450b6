"""Mixtures: every row equally often, strict turns, the weights' shares, and batches that are functions of the step."""

import collections
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.mixtures import mix
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.data.parts import Part
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from lit_precompute.tune.data.turns import Drawn
from tests.tune.data.fakes import FakeDataset

PLENTY = 2**30
TEXT = TextOptions(max_tokens=4)
TOKENIZER = WordTokenizer([f"w{row}" for row in range(3_000)] + ["t0", "t1"])


def make_parts(*sizes, types=None, rows=None, width=4) -> list[Part]:
    """Returns datasets of blocks of these sizes, whose vectors and texts continue each other's."""
    parts, first = [], 1
    for number, blocks in enumerate(sizes):
        texts = [[f"w{first + row} t{k}" for k in range(2)] for row in range(sum(blocks))]
        dataset = FakeDataset(
            blocks,
            texts,
            width=width,
            vector_type=types[number] if types else "float32",
            path=f"fake-{number}",
            first=first,
        )
        source = ChosenTexts({"texts": TokenisedTexts(TOKENIZER, TEXT)}, TEXT)
        parts.append(Part(dataset, source, None if rows is None else rows[number]))
        first += sum(blocks)
    return parts


def make_mixture(parts, mixture, *, batch_size=3, seed=0, budget=PLENTY):
    options = DataOptions(mixture=mixture)
    return mix(parts, options, batch_size=batch_size, seed=seed, memory_budget_bytes=budget)


def as_bytes(batch):
    return tuple(array.tobytes() for array in jax.tree.leaves(batch))


def check_contents(parts, batch):
    """Checks that embeddings and tokens belong to the numbers of joined rows."""
    exact = np.concatenate([part.dataset.exact(np.arange(part.dataset.num_rows)) for part in parts])
    texts = [row for part in parts for row in part.dataset.texts]
    np.testing.assert_array_equal(batch.images.to_float32(), exact[batch.row_numbers])
    for row, tokens in zip(batch.row_numbers, batch.texts.inputs, strict=True):
        assert tokens.tolist() in TOKENIZER.encode(texts[row], 4).tolist()


block_sizes = st.lists(st.integers(1, 5), min_size=2, max_size=5)


@settings(max_examples=40)
@given(
    st.lists(block_sizes, min_size=2, max_size=3),
    st.lists(st.sampled_from(["float32", "float16", "bfloat16"]), min_size=3, max_size=3),
    st.integers(0, 99),
    st.booleans(),
)
def test_joined_shows_each_row_of_all_datasets_equally_often(sizes, types, seed, windowed):
    parts = make_parts(*sizes, types=types, width=64)
    num_rows = sum(map(sum, sizes))
    budget = 16 * num_rows + 2 * 5 * (64 * 4 + 4 * 4 + 16) if windowed else PLENTY
    mixture = make_mixture(parts, "joined", seed=seed, budget=budget)
    seen, num_epochs = collections.Counter(), 3
    for step in range(num_epochs * mixture.num_batches_per_epoch):
        batch = mixture.batch(step)
        check_contents(parts, batch)
        seen.update(batch.row_numbers.tolist())
    assert mixture.num_batches_per_epoch == num_rows // 3
    counts = [seen[row] for row in range(num_rows)]
    assert max(counts) - min(counts) <= 1 and max(counts) <= num_epochs
    assert [share.num_rows for share in mixture.shares(5)] == [sum(blocks) for blocks in sizes]
    mixture.close()


def test_one_dataset_is_what_it_is_alone():
    (part,) = parts = make_parts([5, 5, 3])
    alone = BatchSource(part.dataset, part.texts, batch_size=3, seed=4, memory_budget_bytes=PLENTY)
    for mixture in (make_mixture(parts, name, seed=4) for name in ("joined", "alternate", "1")):
        assert [as_bytes(mixture.batch(step)) for step in range(9)] == [
            as_bytes(alone.batch(step)) for step in range(9)
        ]
        assert mixture.order() == alone.order()


@pytest.mark.parametrize("name", ["joined", "alternate", "3,1"])
@pytest.mark.parametrize("budget", [PLENTY, 6_200])
def test_a_batch_is_a_function_of_seed_and_step(name, budget):
    parts = make_parts([5, 5, 4], [5, 3], width=64)
    steps = [7, 0, 3, 3, 11, 1, 2]
    first = make_mixture(parts, name, budget=budget)
    in_turn = [as_bytes(first.batch(step)) for step in range(12)]
    again = make_mixture(parts, name, budget=budget)
    assert [as_bytes(again.batch(step)) for step in steps] == [in_turn[step] for step in steps]
    other = make_mixture(parts, name, seed=1, budget=budget)
    assert [as_bytes(other.batch(step)) for step in range(12)] != in_turn
    with pytest.raises(IndexError, match=r"step must be >= 0, got -1"):
        first.batch(-1)
    for mixture in (first, again, other):
        mixture.close()


def test_alternating_batches_are_each_datasets_own_in_turn():
    """Three datasets of two types: each one's batches are those that it gives alone, with a seed of its own."""
    sizes = ([5, 5, 4], [5, 3], [4])
    parts = make_parts(*sizes, types=["float16", "float16", "int8"])
    mixture = make_mixture(parts, "alternate", seed=7)
    alone = [
        BatchSource(
            part.dataset,
            part.texts,
            batch_size=3,
            seed=random_draws.make_key(7, random_draws.DATASET, number),
            memory_budget_bytes=PLENTY,
        )
        for number, part in enumerate(parts)
    ]
    firsts = np.cumsum([0, *map(sum, sizes)])
    for step in range(20):
        batch, own = mixture.batch(step), alone[step % 3].batch(step // 3)
        np.testing.assert_array_equal(batch.row_numbers, own.row_numbers + firsts[step % 3])
        np.testing.assert_array_equal(batch.texts.inputs, own.texts.inputs)
        assert batch.images.numbers.dtype == np.float32
        np.testing.assert_array_equal(batch.images.numbers, own.images.to_float32())
    # One pass over the largest, of four batches: its turns and as many of each other.
    assert mixture.num_batches_per_epoch == 3 * 4
    assert [share.num_epochs for share in mixture.shares(13)] == [5 / 4, 4 / 2, 4 / 1]
    assert mixture.order() == {
        "kind": "alternate",
        **{f"{n}.kind": "rows" for n in range(3)},
        **{f"{n}.batch_size": 3 for n in range(3)},
        **{f"{n}.num_rows": sum(blocks) for n, blocks in enumerate(sizes)},
    }


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_weights_give_each_dataset_its_share(weights, seed):
    """Within five standard deviations of a binomial distribution; own steps are counted without a gap."""
    turns, num_steps = Drawn(weights, seed), 150_000
    counts = turns.counts(num_steps)
    shares = np.array(weights) / sum(weights)
    deviations = np.sqrt(num_steps * shares * (1 - shares))
    assert counts.sum() == num_steps
    assert (np.abs(counts - num_steps * shares) <= 5 * deviations).all()
    seen = collections.Counter()
    for step in range(200):
        number, before = turns.place(step)
        assert before == seen[number]
        seen[number] += 1
    late = Drawn(weights, seed)  # asked for a late step first, as a resumed run asks
    assert [late.place(step) for step in (140_000, 65_536, 65_535, 0)] == [
        turns.place(step) for step in (140_000, 65_536, 65_535, 0)
    ]
    assert turns.counts(140_001)[turns.place(140_000)[0]] == turns.place(140_000)[1] + 1


def test_an_epoch_of_weights_lasts_until_the_slowest_is_seen_on_average():
    mixture = make_mixture(make_parts([6, 6], [6]), "0.75,0.25")
    assert mixture.num_batches_per_epoch == max(math.ceil(4 / 0.75), math.ceil(2 / 0.25))
    shares = mixture.shares(40)
    assert sum(share.num_epochs * batches for share, batches in zip(shares, (4, 2), strict=True)) == 40


def test_chosen_rows_alone_are_in_batches():
    chosen = [np.array([1, 4, 7, 8]), np.array([0, 1, 5, 6])]
    for name in ("joined", "alternate", "1,1"):
        mixture = make_mixture(make_parts([5, 5], [5, 3], rows=chosen), name, batch_size=2)
        seen = {row for step in range(40) for row in mixture.batch(step).row_numbers.tolist()}
        assert seen == {*chosen[0].tolist(), *(10 + chosen[1]).tolist()}
        assert mixture.num_rows == 8


def test_what_a_small_dataset_leaves_of_the_memory_goes_to_the_others():
    """The small one needs far less than half; the large one would not fit into half."""
    parts = make_parts([5] * 20, [5], width=64)
    alone = BatchSource(parts[0].dataset, parts[0].texts, batch_size=3, seed=0, memory_budget_bytes=PLENTY)
    small = BatchSource(parts[1].dataset, parts[1].texts, batch_size=3, seed=0, memory_budget_bytes=PLENTY)
    mixture = make_mixture(parts, "alternate", budget=alone.num_bytes + small.num_bytes)
    assert [source.in_memory for source in mixture.sources] == [True, True]
    tight = make_mixture(parts, "alternate", budget=alone.num_bytes + small.num_bytes - 1)
    assert [source.in_memory for source in tight.sources] == [False, True]
    tight.close()


def test_refuses_what_cannot_be_mixed():
    parts = make_parts([5, 5], [2])
    with pytest.raises(ValueError, match=r"^fake-1: batch_size must be <= 2, .* got 3"):
        make_mixture(parts, "alternate")
    with pytest.raises(OptionsError, match=r"data\.mixture must have a weight for each of the 2 datasets, .*'1,1,1'"):
        make_mixture(parts, "1,1,1")
    for wrong in ("", "1,", "0,1", "-1,2", "nan,1", "inf,1", "mixed"):
        with pytest.raises(OptionsError, match=r"data\.mixture must be joined, alternate or a number > 0"):
            DataOptions(mixture=wrong)
    silent = make_parts([5, 5], [4])
    silent[1].dataset.texts = [[]] * 4
    with pytest.raises(ValueError, match=r"^fake-1: none of the 4 rows has a text"):
        make_mixture(silent, "joined")
