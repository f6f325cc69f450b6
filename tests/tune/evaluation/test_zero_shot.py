"""Zero-shot accuracy against scikit-learn, on embeddings whose classes are known."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.evaluation.class_embeddings import compute
from lit_precompute.tune.evaluation.labels import LabelError
from lit_precompute.tune.evaluation.prompts import make_prompts
from lit_precompute.tune.evaluation.zero_shot import classify
from tests.tune.evaluation.making import KnownModel, unit, write_rows

CLASSES = [f"class {letter}" for letter in "abcdefgh"]
TEMPLATES = ("{}", "a photo of a {}.")


def _model(seed=0):
    rng = np.random.default_rng(seed)
    prompts = [prompt for name in CLASSES for prompt in make_prompts(name, TEMPLATES)]
    return KnownModel(dict(zip(prompts, rng.standard_normal((len(prompts), 6)), strict=True)))


def _images(model, count=60, noise=0.9):
    rng = np.random.default_rng(2)
    truth = rng.integers(0, len(CLASSES), count)
    return truth, compute(model, CLASSES, TEMPLATES)[truth] + noise * rng.standard_normal((count, 6)) / 2


@pytest.mark.parametrize("labels_are", ["names", "numbers"])
def test_accuracy_agrees_with_scikit_learn(tmp_path, labels_are):
    model = _model()
    truth, vectors = _images(model)
    labels = [CLASSES[number] if labels_are == "names" else str(number) for number in truth]
    path = write_rows(tmp_path / "d", vectors, [[]] * 60, labels)
    with EmbeddingDataset.open(path) as dataset:
        result = classify(model, dataset, CLASSES, TEMPLATES)
    scores = unit(vectors).astype(np.float64) @ compute(model, CLASSES, TEMPLATES).astype(np.float64).T
    assert result.top1.value == pytest.approx(accuracy_score(truth, scores.argmax(axis=1)))
    assert result.top5.value == pytest.approx(top_k_accuracy_score(truth, scores, k=5, labels=range(8)))
    assert 0.3 < result.top1.value < 1.0  # a result that could be wrong
    assert result.majority == pytest.approx(np.bincount(truth).max() / 60)
    assert (result.top1.chance, result.top5.chance) == (pytest.approx(1 / 8), pytest.approx(5 / 8))
    assert sum(count for _, count in result.per_class.values()) == 60


def test_int8_images_are_dequantised(tmp_path):
    path = write_rows(tmp_path / "d", 9 * np.eye(6), [[]] * 6, ["class a"] * 5 + [""], vector_type="int8")
    model = _model()
    with EmbeddingDataset.open(path) as dataset:
        classify(model, dataset, CLASSES, TEMPLATES)
    np.testing.assert_allclose(np.concatenate(model.images_seen), 9 * np.eye(6)[:5], rtol=1e-6)


def test_images_without_a_label_are_left_out_and_counted(tmp_path):
    model = _model()
    truth, vectors = _images(model)
    marks = ["", "-1", "  "]
    labels = [CLASSES[number] if row % 3 else marks[row % 9 // 3] for row, number in enumerate(truth)]
    path = write_rows(tmp_path / "d", vectors, [[]] * 60, labels)
    with EmbeddingDataset.open(path) as dataset:
        result = classify(model, dataset, CLASSES, TEMPLATES)
        assert (result.num_unlabelled, result.top1.count) == (20, 40)


def test_a_duplicate_name_is_reported_and_never_predicted(tmp_path):
    model = _model()
    _, vectors = _images(model)
    path = write_rows(tmp_path / "d", vectors, [[]] * 60, ["1"] * 60)
    with EmbeddingDataset.open(path) as dataset:
        result = classify(model, dataset, ["Class_a, first", "class a!"], TEMPLATES)
    assert (result.same_names, result.top1.right) == (["class a!"], 0)


def test_classes_of_the_same_name_are_summed(tmp_path):
    model = KnownModel({"a": [1, 0], "b": [0, 1]})
    path = write_rows(tmp_path / "d", [[1, 0], [1, 0], [0, 1]], [[]] * 3, ["0", "2", "1"])
    with EmbeddingDataset.open(path) as dataset:
        assert classify(model, dataset, ["a", "b", "a"], ("{}",)).per_class == {"a": (1, 2), "b": (1, 1)}


def test_the_first_five_of_very_many_classes(tmp_path):
    """Classes 40 to 44 are equally near; the images are more than are compared with all classes at once."""
    names = [f"name {number}" for number in range(20_000)]
    vectors = np.stack([np.ones(20_000), np.arange(20_000)], axis=1)
    vectors[40:45] = [1, 40]
    model = KnownModel(dict(zip(names, vectors, strict=True)))
    labels = ["44", "45", "39", "41", "40", "43"] * 100
    path = write_rows(tmp_path / "d", [[1, 40]] * 600, [[]] * 600, labels, rows=1_200)
    with EmbeddingDataset.open(path) as dataset:
        result = classify(model, dataset, names, ("{}",))
    assert (result.top1.right, result.top5.right) == (100, 400)


def test_wrong_labels_are_refused_before_anything_is_embedded(tmp_path):
    model = KnownModel({"": [0, 1]})
    path = write_rows(tmp_path / "d", np.ones((5, 2)), [[]] * 5, ["0", "1", "1", "zebra", "0"])
    words = (
        r"row 3 \('row-3'\): the label 'zebra' is neither the name of one of the 8 classes nor a whole number below 8"
    )
    with EmbeddingDataset.open(path) as dataset, pytest.raises(LabelError, match=words):
        classify(model, dataset, CLASSES, TEMPLATES)
    assert model.images_seen == []
