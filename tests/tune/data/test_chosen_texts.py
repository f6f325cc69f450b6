"""Which texts rows contribute: by the definition in lists, in memory and in windows alike, in the shares given."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lit_precompute.towers.tokenizers import WordTokenizer
from lit_precompute.tune.data import random_draws
from lit_precompute.tune.data.batches import Batch, BatchSource
from lit_precompute.tune.data.chosen_texts import ChosenTexts
from lit_precompute.tune.data.mixtures import mix
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.data.parts import Part
from lit_precompute.tune.data.text_draws import draw_texts
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.data.tokenised_texts import TokenisedTexts
from tests.tune.data.fakes import FakeDataset

FIELDS = ("title", "description", "tags")
WORDS = [f"{field}{row}n{text}" for field in FIELDS for row in range(64) for text in range(4)]
TOKENIZER = WordTokenizer(WORDS)
WORD_OF = dict(zip(TOKENIZER.encode(WORDS, 3)[:, 0].tolist(), WORDS, strict=True))
ABSENT = TOKENIZER.encode([""], 3)[0].tolist()
PLENTY, LITTLE = 2**30, 2_600


def make_dataset(counts: list[tuple[int, ...]], block_rows: int = 4) -> FakeDataset:
    """Each field of each row has so many texts, of one word that says whose it is."""
    columns = {
        field: [[f"{field}{row}n{text}" for text in range(of[place])] for row, of in enumerate(counts)]
        for place, field in enumerate(FIELDS)
    }
    sizes = [min(block_rows, len(counts) - start) for start in range(0, len(counts), block_rows)]
    return FakeDataset(sizes, fields=columns, width=32)


def make_source(dataset: FakeDataset, options: TextOptions, *, batch_size: int, budget: int = PLENTY) -> BatchSource:
    fields = {field: TokenisedTexts(TOKENIZER, options, field) for field in options.field_names}
    texts = ChosenTexts(fields, options)
    return BatchSource(dataset, texts, batch_size=batch_size, seed=3, memory_budget_bytes=budget)  # pyright: ignore


def words(batch: Batch, options: TextOptions) -> list[list[str | None]]:
    """Returns the word of each column of each image; None where it is absent."""
    tokens = np.asarray(batch.texts.inputs).reshape(len(batch.row_numbers), options.num_columns, -1)
    present = batch.texts.present
    present = np.ones(tokens.shape[:2], bool) if present is None else present
    for row, there in zip(tokens, present, strict=True):
        assert [list(each) == ABSENT for each in row] == (~there).tolist()
    return [
        [WORD_OF[int(each[0])] if is_there else None for each, is_there in zip(row, there, strict=True)]
        for row, there in zip(tokens, present, strict=True)
    ]


def expected_words(dataset: FakeDataset, batch: Batch, options: TextOptions, step: int, epoch: int):
    """The definition, row by row."""
    field_of_batch = None
    if options.combine == "per-batch":
        there = [any(dataset.fields[field][row] for row in batch.row_numbers) for field in options.field_names]
        shares = np.where(there, options.field_shares, 0.0)[None]
        key = random_draws.make_key(3, random_draws.FIELDS)
        field_of_batch = random_draws.choose_weighted(key, np.array([step]), shares)[0]
    for row in batch.row_numbers.tolist():
        texts = [dataset.fields[field][row] for field in options.field_names]
        fields = [*range(len(texts))]
        if field_of_batch is not None:
            fields = [field_of_batch]
        elif options.combine == "per-image" and len(fields) > 1:
            shares = np.where([len(each) > 0 for each in texts], options.field_shares, 0.0)[None]
            key = random_draws.make_key(3, random_draws.FIELDS, epoch)
            fields = random_draws.choose_weighted(key, np.array([row]), shares).tolist()
        drawn: list[str | None] = []
        for field in fields:
            counts, most = np.array([len(texts[field])]), options.texts_per_image
            choices = draw_texts(3, epoch, np.array([row]), counts, stream=field, most=most, shares=options.text_shares)
            drawn += [None if choice < 0 else texts[field][choice] for choice in choices[0]]
        yield drawn


@st.composite
def all_options(draw) -> TextOptions:
    fields = draw(st.permutations(FIELDS))[: draw(st.integers(1, 3))]
    combine = draw(st.sampled_from(["joint", "per-image", "per-batch"]))
    weights = draw(st.sampled_from(["", ",".join(["1", "2", "0.5"][: len(fields)])]))
    return TextOptions(
        fields=",".join(fields),
        combine=combine,
        field_weights="" if combine == "joint" else weights,
        text_weights=(text_weights := draw(st.sampled_from(["", "2,1", "1,0,3"]))),
        texts_per_image=draw(st.integers(1, 2 if text_weights else 3)),
        max_tokens=3,
    )


@settings(max_examples=40)
@given(
    counts=st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=8, max_size=24).map(lambda more: [(1, 1, 1), *more]),
    options=all_options(),
    share=st.floats(0.1, 1),
)
@example(  # a window that has no rows
    counts=[(1, 1, 1), (0, 0, 0), *[(0, 1, 0)] * 14, (0, 0, 0)],
    options=TextOptions(fields="title,description", combine="joint", max_tokens=3),
    share=1.0,
)
def test_batches_equal_the_definition_in_memory_and_in_windows(counts, options, share):
    dataset = make_dataset(counts)
    places = [FIELDS.index(field) for field in options.field_names]
    usable = [row for row, of in enumerate(counts) if any(of[place] for place in places)]
    batch_size = max(1, int(share * len(usable)))
    seen: dict[str, dict[tuple[int, int], list]] = {}
    for budget in (PLENTY, LITTLE):
        source = make_source(dataset, options, batch_size=batch_size, budget=budget)
        assert source.num_rows == len(usable) and source.num_rows_without_text == len(counts) - len(usable)
        for field, place in zip(options.field_names, places, strict=True):
            assert source.fields[field].num_rows == sum(of[place] > 0 for of in counts)
            assert source.fields[field].num_texts == sum(of[place] for of in counts)
        for step in range(2 * source.num_batches_per_epoch):
            batch, epoch = source.batch(step), step // source.num_batches_per_epoch
            found = words(batch, options)
            assert found == [*expected_words(dataset, batch, options, step, epoch)]
            rows = zip(batch.row_numbers.tolist(), found, strict=True)
            seen.setdefault(str(source.in_memory), {}).update({(epoch, row): drawn for row, drawn in rows})
        source.close()
    if len(seen) == 2 and options.combine != "per-batch":  # whose draw depends on the batch
        shared = seen["True"].keys() & seen["False"].keys()
        assert all(seen["True"][each] == seen["False"][each] for each in shared)


def test_windows_are_what_a_small_budget_makes():
    dataset = make_dataset([(1, 2, 3)] * 25)
    for combine in ("joint", "per-image", "per-batch"):
        options = TextOptions(fields=",".join(FIELDS), combine=combine, max_tokens=3)
        source = make_source(dataset, options, batch_size=5, budget=LITTLE)
        assert not source.in_memory
        source.close()


def test_captions_are_read_once_for_all_fields():
    dataset = make_dataset([(1, 2, 3)] * 25)
    options = TextOptions(fields=",".join(FIELDS), combine="joint", max_tokens=3)
    make_source(dataset, options, batch_size=5)
    # Rows are found and texts are kept in one pass.
    assert dataset.num_calls["title"] == dataset.num_blocks == 7


def test_a_field_that_no_image_of_a_batch_has_is_not_drawn():
    """The fields of a batch are those that some of its images have, as often as their weights say."""
    dataset = make_dataset([(1, 0, 0)] * 20 + [(0, 1, 0)] * 20 + [(0, 0, 1)])
    options = TextOptions(fields=",".join(FIELDS), combine="per-batch", max_tokens=3)
    source = make_source(dataset, options, batch_size=1)
    for step in range(60):
        batch = source.batch(step)
        assert batch.texts.present is not None and batch.texts.present.all()


def test_a_batchs_field_is_drawn_as_often_as_its_weight_says():
    dataset = make_dataset([(1, 1, 0)] * 8)
    options = TextOptions(fields="title,description", combine="per-batch", field_weights="3,1", max_tokens=3)
    source = make_source(dataset, options, batch_size=4)
    drawn = [words(source.batch(step), options) for step in range(800)]
    found = [sum(all(str(word).startswith(field) for (word,) in batch) for batch in drawn) for field in FIELDS[:2]]
    assert scipy.stats.chisquare(found, [600, 200]).pvalue > 1e-3


def test_back_translations_are_drawn_as_the_paper_says():
    """arXiv:2111.07991, appendix H: of p 0.5 and five candidates, the original half the time and each a tenth."""
    num_rows, num_epochs = 60, 400
    columns = {
        "texts": [["title0n0"]] * num_rows,
        "back_translations": [[f"tags0n{text}" for text in range(4)] + ["tags1n0"]] * num_rows,
    }
    dataset = FakeDataset([num_rows], fields=columns)
    options = TextOptions(fields="texts,back_translations", field_weights="0.5,0.5", max_tokens=3)
    source = make_source(dataset, options, batch_size=num_rows)
    drawn = [word for epoch in range(num_epochs) for (word,) in words(source.batch(epoch), options)]
    found = [drawn.count(word) for word in ["title0n0", *columns["back_translations"][0]]]
    assert sum(found) == num_rows * num_epochs == 24_000
    assert scipy.stats.chisquare(found, [12_000, *[2_400] * 5]).pvalue > 1e-3


def test_fields_are_renormalised_over_those_that_an_image_has():
    dataset = make_dataset([(0, 1, 1)] * 50 + [(1, 0, 0)])
    options = TextOptions(fields=",".join(FIELDS), field_weights="8,1,3", max_tokens=3)
    source = make_source(dataset, options, batch_size=51)
    drawn = [word for epoch in range(200) for (word,) in words(source.batch(epoch), options) if word]
    found = [sum(word.startswith(field) for word in drawn) for field in FIELDS]
    assert found[0] == 200 and scipy.stats.chisquare(found[1:], [2_500, 7_500]).pvalue > 1e-3


@pytest.mark.parametrize("mixture", ["joined", "alternate"])
def test_a_field_that_no_row_has_is_refused(mixture: str):
    """Of several datasets, one that has it is enough."""
    options = TextOptions(fields=",".join(FIELDS), combine="joint", max_tokens=3)
    counts = [(1, 0, 2)] * 3 + [(0, 0, 1)]

    def mixed(*datasets: FakeDataset):
        fields = {field: TokenisedTexts(TOKENIZER, options, field) for field in FIELDS}
        parts = [Part(dataset, ChosenTexts(fields, options), None) for dataset in datasets]  # pyright: ignore
        return mix(parts, DataOptions(mixture=mixture), batch_size=2, seed=0, memory_budget_bytes=PLENTY)

    message = (
        r"text.fields has description, in which none of the rows has a text; rows .*: title \(6\), tags \(8\); leave"
    )
    with pytest.raises(ValueError, match=message):
        mixed(make_dataset(counts), make_dataset(counts))
    fields = mixed(make_dataset(counts), make_dataset([(0, 1, 0)] * 2)).fields
    assert {name: each.num_rows for name, each in fields.items()} == {"title": 3, "description": 2, "tags": 4}
    alone = dataclasses.replace(options, fields="description")
    with pytest.raises(
        ValueError, match="none of the 4 rows has a text in description, so there is nothing to tune on"
    ):
        make_source(make_dataset(counts), alone, batch_size=2)


def test_joined_datasets_need_not_have_the_same_fields():
    """The one has titles, whose tokens are read from another column than those of the other's texts."""
    titles = FakeDataset([2, 2], fields={"title": [[f"title{row}n0"] for row in range(4)]})
    texts = FakeDataset([3], fields={"tags": [[f"tags{row}n0"] for row in range(3)]})
    options = TextOptions(fields="title,tags", combine="joint", max_tokens=3)
    parts = [
        Part(
            dataset,  # pyright: ignore[reportArgumentType]
            ChosenTexts(
                {
                    name: TokenisedTexts(TOKENIZER, options, name, is_there=name in dataset.fields)
                    for name in ("title", "tags")
                },
                options,
            ),
            None,
        )
        for dataset in (titles, texts)
    ]
    for budget in (PLENTY, 1_200):
        source = mix(parts, DataOptions(), batch_size=7, seed=0, memory_budget_bytes=budget)
        found = dict(zip(source.batch(0).row_numbers.tolist(), words(source.batch(0), options), strict=True))
        expected = {row: [f"title{row}n0", None] for row in range(4)}
        assert found == expected | {row: [None, f"tags{row - 4}n0"] for row in range(4, 7)}
        source.close()
