"""The image side: standardisation against scikit-learn, the head, and embeddings that pass unchanged."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.tune.model.image_side import Statistics, make_image_side
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.standardisation import vector_statistics
from tests.tune.small_runs import WIDTH, write_dataset


def encode(parameters, vectors, *, statistics=None, head_width=None):
    side = make_image_side(ImageSideOptions(head_width=head_width), vectors.shape[1], statistics)
    return side.apply(parameters, StoredVectors(vectors, None))


@pytest.mark.parametrize("vector_type", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_without_options_embeddings_pass_unchanged(vector_type):
    vectors = np.random.default_rng(0).standard_normal((5, 8)).astype(vector_type)
    side = make_image_side(ImageSideOptions(), 8, None)
    assert side.parameter_shapes == side.initialise(jax.random.key(0)) == {}
    assert side.output_width == 8
    found = encode({}, vectors)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors.astype(np.float32))


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_stored_vectors_become_the_float32_that_datasets_return(tmp_path, vector_type):
    with EmbeddingDataset.open(write_dataset(tmp_path / "dataset", vector_type=vector_type)) as dataset:
        rows = dataset.rows(0, dataset.num_rows, ["embedding"])
    found = jax.jit(make_image_side(ImageSideOptions(), WIDTH, None).apply)({}, rows.stored())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rows.vectors())


def test_standardises_as_scikit_learn(tmp_path):
    with EmbeddingDataset.open(write_dataset(tmp_path / "dataset", scale=7.0)) as dataset:
        mean, deviation = vector_statistics(dataset)
        statistics = Statistics(mean.astype(np.float32), deviation.astype(np.float32))
        vectors = dataset.rows(0, dataset.num_rows)["embedding"]
    expected = StandardScaler().fit_transform(vectors.astype(np.float64))
    # Float32 means and divisions of values near one.
    np.testing.assert_allclose(encode({}, vectors, statistics=statistics), expected, atol=1e-5)


def test_head_is_a_linear_layer_of_the_requested_width():
    side = make_image_side(ImageSideOptions(head_width=6), WIDTH, None)
    parameters = side.initialise(jax.random.key(3))
    assert {name: value.shape for name, value in parameters.items()} == side.parameter_shapes
    assert parameters["kernel"].shape == (WIDTH, side.output_width) == (WIDTH, 6)
    vectors = np.random.default_rng(0).standard_normal((5, WIDTH)).astype(np.float32)
    bias = np.arange(6, dtype=np.float32)
    expected = vectors.astype(np.float64) @ np.asarray(parameters["kernel"], np.float64) + bias
    found = encode({**parameters, "bias": jnp.asarray(bias)}, vectors, head_width=6)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_head_keeps_the_variance():
    """LeCun's normal: unit variance in, unit variance out."""
    parameters = make_image_side(ImageSideOptions(head_width=400), 300, None).initialise(jax.random.key(0))
    vectors = np.random.default_rng(0).standard_normal((500, 300)).astype(np.float32)
    assert np.var(encode(parameters, vectors, head_width=400)) == pytest.approx(1.0, rel=0.02)
