"""Tags: all of a row's in each draw, in every order and with every separator equally often, kept or read anew."""

import itertools
import re

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data.batches import BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.shuffled_texts import SEPARATORS, ShuffledTexts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.text_source import ReadTexts
from tests.tune.data.fakes import FakeDataset

OPTIONS = TextOptions(fields="tags", shuffled="tags", max_tokens=6)
TAGS = ["cat", "new york", "  ", "", "a tag of more than fifteen bytes", "ünï", "nul\0in it", "dog"]


class Spelling(WordTokenizer):
    """Remembers what it is given."""

    def __init__(self):
        super().__init__(["cat", "dog", "new", "york", "tag"])
        self.given: list[str] = []

    def pieces(self, texts):
        self.given += texts
        return super().pieces(texts)


class Splitting(WordTokenizer):
    """Ends words at every separator."""

    def pieces(self, texts):
        return super().pieces([re.sub(f"[{re.escape(SEPARATORS)}]", " ", text) for text in texts])


def read(rows: list[list[str]]) -> tuple[ShuffledTexts, ReadTexts, Spelling]:
    tokenizer = Spelling()
    source = ShuffledTexts(tokenizer, OPTIONS, "tags")
    block = FakeDataset([len(rows)], fields={"tags": rows}).read_block(0, source.columns)
    return source, source.read(block, np.arange(len(rows))), tokenizer


def strings(texts: ReadTexts, tokenizer: Spelling, rows, arrangements) -> list[str]:
    tokenizer.given.clear()
    (tokens,) = texts.take(np.array(rows, np.int64), np.array(arrangements, np.int64))
    given = [*tokenizer.given]
    np.testing.assert_array_equal(tokens, tokenizer.encode(given, 6))
    return given


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(st.sampled_from(TAGS), max_size=6), min_size=1, max_size=8),
    arrangements=st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8),
)
def test_each_draw_has_all_of_a_rows_texts_and_one_separator(rows, arrangements):
    rows = [*rows, ["cat", "dog"]]
    source, fresh, tokenizer = read(rows)
    shown = [[tag for tag in row if tag.strip()] for row in rows]
    counts = fresh.counts(np.arange(len(rows)))
    assert counts.tolist() == [len(row) for row in shown]
    asked = [row for row, count in enumerate(counts) if count]
    drawn = strings(fresh, tokenizer, asked, arrangements[: len(asked)] + [5] * (len(asked) - 8))
    for row, text in zip(asked, drawn, strict=True):
        possible = {each.join(order) for order in itertools.permutations(shown[row]) for each in SEPARATORS}
        assert text in possible
    kept = source.kept(counts, source.to_kept(fresh))
    assert strings(kept, tokenizer, asked, arrangements[: len(asked)] + [5] * (len(asked) - 8)) == drawn
    # A draw is a function of the row's texts and the arrangement alone.
    assert strings(kept, tokenizer, asked[::-1], arrangements[: len(asked)][::-1] + [5] * (len(asked) - 8))
    for row, arrangement, text in zip(asked, arrangements, drawn, strict=False):
        assert strings(fresh, tokenizer, [row], [arrangement]) == [text]


def test_orders_and_separators_are_equally_likely_and_independent():
    _, texts, tokenizer = read([["a", "b", "c"]])
    number = 42_000
    drawn = strings(texts, tokenizer, [0] * number, np.random.default_rng(0).integers(0, 2**32, number))
    orders = [*itertools.permutations("abc")]
    table = np.zeros((6, len(SEPARATORS)), int)
    for text in drawn:
        table[orders.index((text[0], text[2], text[4])), SEPARATORS.index(text[1])] += 1
    assert table.shape == (6, 7) and scipy.stats.chisquare(table.ravel()).pvalue > 1e-3


def test_memory_of_kept_texts_is_counted():
    _, texts, _ = read([["cat", "dog " * 10], [], ["ünï" * 6]])
    assert texts.totals.kept_bytes == (16 + 16 + 40) + 0 + (16 + 30)
    assert texts.counts(np.arange(3)).tolist() == [2, 0, 1]
    assert texts.all()[0].tolist() == ["cat", "dog " * 10, "ünï" * 6]


def make_source(dataset, tokenizer, budget: int, options: TextOptions = OPTIONS) -> BatchSource:
    texts = ChosenTexts({"tags": ShuffledTexts(tokenizer, options, "tags")}, options)
    return BatchSource(dataset, texts, batch_size=5, seed=1, memory_budget_bytes=budget)


@pytest.mark.parametrize("texts_per_image", [1, 3])
def test_batches_are_the_same_in_memory_and_in_windows_and_change_with_the_epoch(texts_per_image: int):
    """A shuffled field is one text for each image, however many columns there are."""
    words = [f"w{number}" for number in range(30)]
    rows = [[words[row], words[(row * 7 + 1) % 30], words[(row + 11) % 30]] for row in range(30)]
    options = TextOptions(fields="tags", shuffled="tags", max_tokens=6, texts_per_image=texts_per_image)
    dataset, tokenizer = FakeDataset([4] * 7 + [2], fields={"tags": rows}, width=32), Splitting(words)
    tokens: list[dict[tuple[int, int], list[int]]] = []
    for budget in (1 << 20, 3_000):
        source = make_source(dataset, tokenizer, budget, options)
        assert source.in_memory == (budget > 3_000)
        tokens.append({})
        for step in range(2 * source.num_batches_per_epoch):
            batch = source.batch(step)
            of_rows = np.asarray(batch.texts.inputs).reshape(5, texts_per_image, 6)[:, 0].tolist()
            if texts_per_image > 1:
                assert batch.texts.present is not None
                assert batch.texts.present.tolist() == [[True] + [False] * (texts_per_image - 1)] * 5
            for row, each in zip(batch.row_numbers.tolist(), of_rows, strict=True):
                tokens[-1][step // source.num_batches_per_epoch, row] = each
                assert sorted(each[:3]) == sorted(tokenizer.encode(rows[row], 2)[:, 0].tolist())
        source.close()
    assert tokens[0] == tokens[1]
    changed = sum(tokens[0][0, row] != tokens[0][1, row] for row in range(30))
    assert changed > 15  # an order stays with a chance of one in six


def test_separators_are_spaces_newlines_and_basic_punctuation():
    assert re.fullmatch(r"[ \n,.;:\-]{7}", SEPARATORS) and len({*SEPARATORS}) == 7
