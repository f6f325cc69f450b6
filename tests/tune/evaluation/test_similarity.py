"""Similarity of images and their texts against NumPy in float64 and scikit-learn, and the rows it selects."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selecting.finding import find_rows
from lit_precompute.tune.evaluation.similarity import score_by_similarity
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from tests.tune.evaluation.making import KnownModel, write_rows

NUM_ROWS = 60


@pytest.fixture(scope="module")
def drawn():
    """Returns images, the texts of each (none to three, one blank), and the texts' vectors."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((NUM_ROWS, 5)).astype(np.float32)
    texts = [[f"text {row}.{place}" for place in range(row % 4)] for row in range(NUM_ROWS)]
    vectors = {text: images[row] + 1.5 * rng.standard_normal(5) for row, of_row in enumerate(texts) for text in of_row}
    return images, texts, vectors


@pytest.fixture
def dataset(drawn, tmp_path):
    images, texts, _ = drawn
    shown = [[*of_row, " "] if row % 5 == 0 else of_row for row, of_row in enumerate(texts)]
    with EmbeddingDataset.open(write_rows(tmp_path / "d", images, shown)) as dataset:
        yield dataset


def _expected(drawn, of):
    """Returns the similarities that scikit-learn computes; NaN for rows without texts."""
    images, texts, vectors = drawn
    combine = {"best": np.max, "mean": np.mean}[of]
    found = np.full(NUM_ROWS, np.nan)
    for row, of_row in enumerate(texts):
        if of_row:
            found[row] = combine(cosine_similarity(images[row : row + 1], [vectors[text] for text in of_row]))
    return found


def _find(drawn, dataset, **options):
    model = KnownModel(drawn[2])
    object.__setattr__(model, "digest", "a" * 64)  # it is frozen
    options = {"least": None, "best_share": None} | options
    return find_rows(dataset, [], scored=score_by_similarity(model, dataset, **options))


@pytest.mark.parametrize("of", ["best", "mean"])
def test_similarities_match_scikit_learn(drawn, dataset, of):
    model = KnownModel(drawn[2])
    scored = score_by_similarity(model, dataset, of=of, least=None, best_share=None)
    found = np.concatenate([scored.score(block) for block in dataset.blocks(columns=scored.columns)])
    # The model's embeddings are float32.
    np.testing.assert_allclose(found, _expected(drawn, of), atol=3e-7)
    assert np.isnan(found).sum() == NUM_ROWS / 4


@pytest.mark.parametrize("of", ["best", "mean"])
def test_a_least_similarity_keeps_those_above(drawn, dataset, of):
    found = _find(drawn, dataset, of=of, least=0.5)
    expected = np.flatnonzero(_expected(drawn, of) >= 0.5)
    assert found.selection.rows(0, NUM_ROWS).tolist() == expected.tolist()
    assert 5 < len(expected) < 45
    assert found.selection.made_by["criteria"]["similarity"] == {
        "model": "a" * 64,
        "of": of,
        "least": 0.5,
        "best_share": None,
    }


@pytest.mark.parametrize("of", ["best", "mean"])
def test_the_best_share_is_that_of_the_rows_with_texts(drawn, dataset, of):
    found = _find(drawn, dataset, of=of, best_share=0.3)
    similarities = _expected(drawn, of)
    best = np.argsort(-similarities)[: int(0.3 * 45)]  # NaN comes last
    assert found.selection.rows(0, NUM_ROWS).tolist() == sorted(best)
    assert found.notes == [f"the least similarity that is kept is {similarities[best].min():.6f}"]


def test_refuses_another_tower_and_a_dataset_without_captions(drawn, dataset):
    with pytest.raises(TunedModelError, match="fingerprint"):
        score_by_similarity(KnownModel(drawn[2], "e" * 64), dataset, of="best", least=0.0, best_share=None)
    words = "similarity needs the table 'captions'"
    with EmbeddingDataset.open(dataset.path, tables=["embeddings"]) as alone, pytest.raises(ValueError, match=words):
        score_by_similarity(KnownModel(drawn[2]), alone, of="best", least=0.0, best_share=None)
