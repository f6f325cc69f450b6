"""Datasets written by version 1, as literal bytes: every later version reads them."""

import pathlib

import ml_dtypes
import numpy as np
import pytest

from schemas import EmbeddingDataset
from schemas.verification import verify
from tests.golden.dataset_v1.make import KEYS, LABELS, TEXTS, VECTORS

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "dataset_v1"
TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("vector_type", TYPES)
def test_version_1_is_read(vector_type):
    assert verify(GOLDEN / vector_type) == []
    with EmbeddingDataset.open(GOLDEN / vector_type) as dataset:
        rows = dataset.rows(0, 5)
        assert rows["key"].to_pylist() == KEYS
        assert rows["texts"].to_pylist() == TEXTS
        assert rows["label"].to_pylist() == LABELS
        assert rows["embedding"].dtype == TYPES[vector_type]
        np.testing.assert_array_equal(rows["embedding"].astype(np.float32), VECTORS)
        assert [failure["reason"] for failure in dataset.failures().to_pylist()] == ["empty"]
        assert dataset.manifest.tower.name == "golden"
