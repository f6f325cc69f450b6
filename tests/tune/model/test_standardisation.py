"""Statistics against scikit-learn's scaler, and features that do not vary."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.model.standardisation import FLOOR, vector_statistics
from tests.tune.data.fakes import FakeDataset
from tests.tune.small_runs import write_dataset


class _Drawn(FakeDataset):
    """Embeddings far from zero, where sums of squares would lose their digits."""

    def vectors(self, rows):
        drawn = np.random.default_rng(3).normal(1000, [1, 0.1, 20, 3], (self.num_rows, 4)).astype(np.float32)
        return drawn[rows].astype(super().vectors(rows).dtype)


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("rows", [None, np.array([0, 1, 9, 30, 31, 32, 70])])
def test_matches_scikit_learn(vector_type: str, rows: np.ndarray | None):
    dataset = _Drawn([32, 32, 9], vector_type=vector_type)
    mean, deviation = vector_statistics(dataset, rows)
    everything = dataset.vectors(np.arange(73)).astype(np.float64)
    oracle = StandardScaler().fit(everything if rows is None else everything[rows])
    assert mean.dtype == deviation.dtype == np.float64
    np.testing.assert_allclose(mean, oracle.mean_, rtol=1e-12)
    floor = FLOOR * np.sqrt(oracle.var_.mean())
    np.testing.assert_allclose(deviation, np.maximum(np.sqrt(oracle.var_), floor), rtol=1e-9)


def test_int8_is_standardised_by_its_float32_values(tmp_path):
    with EmbeddingDataset.open(write_dataset(tmp_path / "dataset", vector_type="int8")) as dataset:
        mean, deviation = vector_statistics(dataset)
        oracle = StandardScaler().fit(dataset.rows(0, dataset.num_rows).vectors().astype(np.float64))
    np.testing.assert_allclose(mean, oracle.mean_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(deviation, np.sqrt(oracle.var_), rtol=1e-9)


def test_two_passes_give_the_same_bytes():
    first, second = (vector_statistics(_Drawn([32, 9])) for _ in range(2))
    assert [array.tobytes() for array in first] == [array.tobytes() for array in second]


def test_a_constant_feature_gets_the_floor():
    class Dead(_Drawn):
        def vectors(self, rows):
            vectors = super().vectors(rows)
            vectors[:, 1] = 5
            return vectors

    mean, deviation = vector_statistics(Dead([32, 9]))
    assert mean[1] == 5
    assert deviation[1] == pytest.approx(FLOOR * np.sqrt(np.square(deviation[[0, 2, 3]]).sum() / 4))


def test_one_row_has_deviation_one():
    mean, deviation = vector_statistics(_Drawn([1]))
    np.testing.assert_array_equal(deviation, np.ones(4))
    assert mean == pytest.approx(_Drawn([1]).vectors([0])[0])


def test_refuses_no_rows_and_vectors_that_are_not_finite():
    class Broken(_Drawn):
        def vectors(self, rows):
            vectors = super().vectors(rows)
            vectors[np.asarray(rows) == 35] = np.inf
            return vectors

    with pytest.raises(ValueError, match="row 35: embeddings must be finite"):
        vector_statistics(Broken([32, 9]))
    with pytest.raises(ValueError, match="no rows to standardise over"):
        vector_statistics(_Drawn([]))
