"""Ranks and recalls against brute force in NumPy float64 and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.evaluation.retrieval import evaluate, ranks
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from tests.tune.evaluation.making import KnownModel, unit, write_rows


def _brute_force(images, texts, owners):
    """Sorts every list completely, equal similarities by position."""
    similarities = np.round(images.astype(np.float64) @ texts.astype(np.float64).T, 12)
    text_ranks = [list(np.argsort(-similarities[:, j], kind="stable")).index(owner) for j, owner in enumerate(owners)]
    image_ranks = []
    for i, row in enumerate(similarities):
        order = list(np.argsort(-row, kind="stable"))
        image_ranks.append(min((order.index(j) for j in np.flatnonzero(owners == i)), default=len(texts)))
    return np.array(image_ranks), np.array(text_ranks)


@pytest.mark.parametrize("tile_numbers", [1, 500, 1 << 24])
def test_ranks_match_float64_numpy(tile_numbers):
    rng = np.random.default_rng(0)
    images = unit(rng.standard_normal((40, 6)))
    owners = np.sort(rng.integers(0, 40, 90))  # some images have several texts, some none
    texts = unit(images[owners] + rng.standard_normal((90, 6)))
    both = ranks(images, texts, owners, tile_numbers=tile_numbers)
    for found, expected in zip(both, _brute_force(images, texts, owners), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_ties_are_broken_by_the_datasets_order():
    images = unit(np.ones((5, 3)))
    texts = unit(np.ones((5, 3)))
    image_ranks, text_ranks = ranks(images, texts, np.arange(5))
    np.testing.assert_array_equal(image_ranks, np.arange(5))
    np.testing.assert_array_equal(text_ranks, np.arange(5))


def test_recall_agrees_with_scikit_learn(tmp_path):
    rng = np.random.default_rng(1)
    images = rng.standard_normal((30, 5))
    words = [f"text {row}" for row in range(30)]
    vectors = dict(zip(words, unit(images + 1.2 * rng.standard_normal((30, 5))), strict=True))
    path = write_rows(tmp_path / "d", images, [[word] for word in words])
    with EmbeddingDataset.open(path) as dataset:
        result = evaluate(KnownModel(vectors), dataset)
    similarities = unit(images).astype(np.float64) @ np.stack(list(vectors.values())).astype(np.float64).T
    for k in (1, 5, 10):
        by_image = top_k_accuracy_score(np.arange(30), similarities, k=k)
        by_text = top_k_accuracy_score(np.arange(30), similarities.T, k=k)
        assert result.image_to_text[k].value == pytest.approx(by_image)
        assert result.text_to_image[k].value == pytest.approx(by_text)
        assert result.text_to_image[k].chance == pytest.approx(k / 30)
    assert 0.1 < result.image_to_text[1].value < 0.9  # a result that could be wrong


def test_int8_images_are_dequantised(tmp_path):
    path = write_rows(tmp_path / "d", np.diag([1, 20, 300, 4]), [["a"]] * 4, vector_type="int8")
    model = KnownModel({"a": [1, 0, 0, 0]})
    with EmbeddingDataset.open(path) as dataset:
        evaluate(model, dataset)
    seen = np.concatenate(model.images_seen)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, np.diag([1, 20, 300, 4]), rtol=1e-6)


def test_an_image_needs_only_one_of_its_texts(tmp_path):
    """Image 0 has a far and a near text; image 1 has none and is only a candidate."""
    texts = [["far", "near"], [], ["other"]]
    vectors = {"far": [0, 0, 1], "near": [1, 0.1, 0], "other": [0, 1, 0.2]}
    path = write_rows(tmp_path / "d", [[1, 0, 0], [0, 0, 1], [0, 1, 0]], texts)
    with EmbeddingDataset.open(path) as dataset:
        result = evaluate(KnownModel(vectors), dataset)
    assert (result.num_images, result.num_texts) == (3, 3)
    assert (result.image_to_text[1].right, result.image_to_text[1].count) == (2, 2)
    assert (result.text_to_image[1].right, result.text_to_image[1].count) == (2, 3)
    # Of three texts two are image 0's, one image 2's: 2/3 and 1/3 by chance.
    assert result.image_to_text[1].chance == pytest.approx(0.5)
    assert set(result.to_json()["image_to_text"]) == {"recall_at_1", "recall_at_5", "recall_at_10"}


def test_blank_texts_are_left_out_and_counted(tmp_path):
    """Image 1 has only blank ones, and so is only a candidate."""
    texts = [["", "far", " \t", "near"], ["\u200b", "   "], ["other"]]
    vectors = {"far": [0, 0, 1], "near": [1, 0.1, 0], "other": [0, 1, 0.2]}
    path = write_rows(tmp_path / "d", [[1, 0, 0], [0, 0, 1], [0, 1, 0]], texts)
    with EmbeddingDataset.open(path) as dataset:
        result = evaluate(KnownModel(vectors), dataset)
    assert (result.num_images, result.num_texts, result.num_blank_texts) == (3, 3, 4)
    assert (result.image_to_text[1].right, result.image_to_text[1].count) == (2, 2)
    assert (result.text_to_image[1].right, result.text_to_image[1].count) == (2, 3)
    assert result.to_json()["num_blank_texts"] == 4


def test_a_dataset_from_a_different_tower_is_refused_with_both_fingerprints(tmp_path):
    path = write_rows(tmp_path / "d", np.eye(3), [["a"], ["b"], ["c"]])
    with (
        EmbeddingDataset.open(path) as dataset,
        pytest.raises(TunedModelError, match=r"fingerprint f{64}.*tuned on e{64}"),
    ):
        evaluate(KnownModel({}, fingerprint="e" * 64), dataset)


def test_a_dataset_without_texts_is_refused(tmp_path):
    path = write_rows(tmp_path / "d", np.eye(3), [[], [" "], ["\ufeff", ""]])
    with (
        EmbeddingDataset.open(path) as dataset,
        pytest.raises(ValueError, match=r"has no texts to .* show \(3 blank\)"),
    ):
        evaluate(KnownModel({}), dataset)
