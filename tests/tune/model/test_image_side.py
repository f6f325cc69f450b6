"""The image side: standardisation against scikit-learn, the head, and what passes unchanged."""

import jax
import ml_dtypes
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from lit_precompute.tune.model import image_side
from lit_precompute.tune.model.image_side import Statistics
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.standardisation import vector_statistics
from tests.tune.small_runs import WIDTH, write_dataset


@pytest.mark.parametrize("vector_type", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_without_options_vectors_pass_unchanged(vector_type):
    vectors = np.random.default_rng(0).standard_normal((5, 8)).astype(vector_type)
    parameters = image_side.draw_head(ImageSideOptions(), 8, jax.random.key(0))
    assert parameters == {}
    found = image_side.encode(parameters, None, vectors)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors.astype(np.float32))


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_stored_vectors_become_the_float32_that_datasets_give(tmp_path, vector_type):
    from lit_precompute.schemas import EmbeddingDataset

    with EmbeddingDataset.open(write_dataset(tmp_path / "dataset", vector_type=vector_type)) as dataset:
        rows = dataset.rows(0, dataset.num_rows, ["embedding"])
    stored = rows.stored()
    scales = np.zeros((len(stored.numbers), 0), np.float32) if stored.scales is None else stored.scales[:, None]
    found = jax.jit(image_side.to_float32)(stored.numbers, scales)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rows.vectors())


def test_standardises_as_scikit_learn(tmp_path):
    from lit_precompute.schemas import EmbeddingDataset

    with EmbeddingDataset.open(write_dataset(tmp_path / "dataset", scale=7.0)) as dataset:
        statistics = Statistics(*(part.astype(np.float32) for part in vector_statistics(dataset)))
        vectors = dataset.rows(0, dataset.num_rows)["embedding"]
    expected = StandardScaler().fit_transform(vectors.astype(np.float64))
    # Float32 means and divisions of values near one.
    np.testing.assert_allclose(image_side.encode({}, statistics, vectors), expected, atol=1e-5)


def test_head_is_a_linear_layer_as_wide_as_asked():
    parameters = image_side.draw_head(ImageSideOptions(head_width=6), WIDTH, jax.random.key(3))
    assert parameters["kernel"].shape == (WIDTH, 6)
    vectors = np.random.default_rng(0).standard_normal((5, WIDTH)).astype(np.float32)
    bias = np.arange(6, dtype=np.float32)
    expected = vectors.astype(np.float64) @ np.asarray(parameters["kernel"], np.float64) + bias
    found = image_side.encode({**parameters, "bias": jax.numpy.asarray(bias)}, None, vectors)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_head_keeps_the_vectors_variance():
    """LeCun's normal: unit variance in, unit variance out."""
    parameters = image_side.draw_head(ImageSideOptions(head_width=400), 300, jax.random.key(0))
    vectors = np.random.default_rng(0).standard_normal((500, 300)).astype(np.float32)
    assert np.var(image_side.encode(parameters, None, vectors)) == pytest.approx(1.0, rel=0.02)
