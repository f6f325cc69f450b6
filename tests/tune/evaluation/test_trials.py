"""Datasets of the same rows by several towers: which rows they have in common, and what a model finds among them."""

import numpy as np
import pytest

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, captions_table
from lit_precompute.tune.evaluation.fair_split import split_fairly
from lit_precompute.tune.evaluation.paired import FIGURES
from lit_precompute.tune.evaluation.retrieval import evaluate
from lit_precompute.tune.evaluation.trials import common_rows, compare_runs, hits_of, read_queries, select_sides
from tests.schemas.making import SOURCE, card
from tests.tune.evaluation.making import KnownModel, unit


def _write(path, vectors, texts):
    """Writes rows by key."""
    width = len(next(iter(vectors.values())))
    with DatasetWriter(
        path, tower=card(width=width), source=SOURCE, vector_type="float32", tables=[captions_table()], block_rows=8
    ) as writer:
        writer.write(
            keys=[*vectors],
            embeddings=np.array([*vectors.values()], np.float32),
            columns={"captions": {"texts": [texts[key] for key in vectors]}},
        )
    return EmbeddingDataset.open(path)


@pytest.fixture
def towers(tmp_path):
    """Two towers' datasets of 60 rows; each lacks one, one has no text, and two have an equal image."""
    rng = np.random.default_rng(0)
    keys = [f"k{number:02}" for number in range(60)]
    texts = {key: [f"text {key}", " "] if key < "k30" else [f"text {key}", f"more {key}"] for key in keys}
    texts["k05"] = ["  "]
    vectors = {key: rng.standard_normal(6) for key in keys}
    vectors["k41"] = vectors["k40"]
    others = {key: rng.standard_normal(9) for key in keys}
    others["k41"] = others["k40"]
    others["k51"] = others["k50"]  # to one tower alone they look the same
    first = _write(tmp_path / "a", {key: vectors[key] for key in keys if key != "k10"}, texts)
    second = _write(tmp_path / "b", {key: others[key] for key in keys if key != "k20"}, texts)
    with first, second:
        yield first, second


def test_rows_are_common_if_every_tower_embedded_them_and_they_have_a_text(towers):
    rows = common_rows(towers)
    assert [*rows] == [f"k{number:02}" for number in range(60) if number not in (5, 10, 20)]
    assert list(rows["k01"].texts) == ["text k01"] and list(rows["k31"].texts) == ["text k31", "more k31"]
    assert rows["k40"].image == rows["k41"].image
    assert rows["k50"].image != rows["k51"].image


def test_both_datasets_are_split_alike_and_give_the_same_queries(towers):
    split = split_fairly(common_rows(towers), 20)
    found = []
    for dataset in towers:
        trained_on, held_out = select_sides(dataset, split)
        assert not (trained_on & held_out).num_selected
        assert (trained_on.num_selected, held_out.num_selected) == (37, 20)
        found.append(read_queries(dataset, held_out))
    first, second = found
    assert first.keys == second.keys == split.held_out and first.texts == second.texts
    np.testing.assert_array_equal(first.owners, second.owners)
    assert first.images.shape == (20, 6) and second.images.shape == (20, 9)
    assert " " not in first.texts and first.chances == second.chances


def test_hits_are_those_of_an_evaluation_on_the_held_out_rows(towers):
    dataset, _ = towers
    _, held_out = select_sides(dataset, split_fairly(common_rows(towers), 20))
    queries = read_queries(dataset, held_out)
    noise = np.random.default_rng(3).standard_normal((len(queries.texts), 6))
    vectors = dict(zip(queries.texts, unit(queries.images[queries.owners] + 0.8 * noise), strict=True))
    model = KnownModel(vectors)
    expected = evaluate(model, dataset, held_out)
    found = compare_runs([[hits_of(model, queries, None)]], seed=0)
    for way in ("image_to_text", "text_to_image"):
        for k, share in getattr(expected, way).items():
            figure = f"{way}_recall_at_{k}"
            assert found.values[0, FIGURES.index(figure)] == pytest.approx(share.value)
            assert queries.chances[figure] == pytest.approx(share.chance)
            assert share.value > 0
    assert expected.image_to_text[1].value < 1  # a result that could be wrong
