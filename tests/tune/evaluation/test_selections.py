"""Evaluating selected rows is evaluating a dataset that has no others."""

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.evaluation.labels import LabelError, distinct_labels
from lit_precompute.tune.evaluation.retrieval import evaluate
from lit_precompute.tune.evaluation.show.page import make_page
from lit_precompute.tune.evaluation.zero_shot import classify
from tests.tune.evaluation.making import KnownModel, unit, write_rows

NUM_ROWS = 40
CLASSES = ["ant", "bee", "cow"]
SELECTED = np.array([1, 2, 3, 10, 11, 20, 21, 25, 33, 38])


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    images = rng.standard_normal((NUM_ROWS, 6))
    texts = [[f"text {row}.{place}" for place in range(row % 3)] for row in range(NUM_ROWS)]
    vectors = {text: images[row] + rng.standard_normal(6) for row, of_row in enumerate(texts) for text in of_row}
    vectors |= {name: rng.standard_normal(6) for name in CLASSES}
    labels = [CLASSES[number] for number in rng.integers(0, 3, NUM_ROWS)]
    return images, texts, labels, vectors


@pytest.fixture
def both(drawn, tmp_path):
    """Returns the model, the whole dataset with a selection, and a dataset of the selected rows alone."""
    images, texts, labels, vectors = drawn
    labels = [label if row in SELECTED else "no class at all" for row, label in enumerate(labels)]
    whole = write_rows(tmp_path / "whole", images, texts, labels)
    alone = write_rows(
        tmp_path / "alone", images[SELECTED], [texts[row] for row in SELECTED], [labels[row] for row in SELECTED]
    )
    with EmbeddingDataset.open(whole) as whole, EmbeddingDataset.open(alone) as alone:
        yield KnownModel(vectors), whole, Selection.of_rows(whole.manifest, SELECTED, made_by={}), alone


def test_zero_shot(both):
    model, whole, selection, alone = both
    with pytest.raises(LabelError, match="no class at all"):
        classify(model, whole, CLASSES, ("{}",))
    found = classify(model, whole, CLASSES, ("{}",), selection=selection)
    assert found == classify(model, alone, CLASSES, ("{}",)) and found.top1.count == len(SELECTED)
    assert distinct_labels(whole, selection) == distinct_labels(alone) != distinct_labels(whole)


def test_labels_are_named_by_their_row_in_the_dataset(both):
    model, whole, selection, _ = both
    with pytest.raises(LabelError, match=r"row \d+ \('row-(2|3|10|11|20|21|25|33|38|1)'\)"):
        classify(model, whole, ["ant"], ("{}",), selection=selection)


def test_retrieval(both):
    model, whole, selection, alone = both
    found = evaluate(model, whole, selection)
    assert found == evaluate(model, alone) != evaluate(model, whole)
    assert (found.num_images, found.num_texts) == (len(SELECTED), sum(row % 3 for row in SELECTED))


def test_pages_show_selected_rows(both, tmp_path):
    model, whole, selection, _ = both
    options = {"num_rows": 12, "num_best": 3, "seed": 0, "image_folder": str(tmp_path)}
    page = make_page(model, whole, selection=selection, **options)
    keys = {key for key, _ in page.of_images} | {match.name for _, matches in page.of_texts for match in matches}
    assert keys <= {f"row-{row}" for row in SELECTED}
    images, vectors = unit(np.concatenate(model.images_seen)), model.vectors_by_text
    for text, (best, *_) in page.of_texts:
        row = int(best.name.removeprefix("row-"))
        expected = images[list(SELECTED).index(row)] @ unit([vectors[text]])[0]
        assert best.similarity == pytest.approx(expected, abs=1e-5)


def test_refuses_selections_that_cannot_be_used(both, drawn, tmp_path):
    model, whole, _, alone = both
    foreign = Selection.of_rows(alone.manifest, np.array([1]), made_by={})
    empty = Selection.of_rows(whole.manifest, np.zeros(0, np.int64), made_by={})
    for selection, words in {foreign: "rows of another dataset", empty: "none of the 40 rows"}.items():
        with pytest.raises(DatasetError, match=words):
            classify(model, whole, CLASSES, ("{}",), selection=selection)
        with pytest.raises(DatasetError, match=words):
            evaluate(model, whole, selection)
    without_texts = Selection.of_rows(whole.manifest, np.array([0, 3]), made_by={})
    with pytest.raises(ValueError, match="selected rows have no texts to retrieve or show"):
        evaluate(model, whole, without_texts)
