"""A dataset in HDFS, by a driver like fsspec's on the local disk."""

import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.checking.verification import verify
from tests.schemas.making import rows, write
from tests.schemas.storage.test_hdfs import folder  # noqa: F401 -- a fixture

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_dataset_is_written_read_and_verified(folder):  # noqa: F811
    write(folder)
    with EmbeddingDataset.open(folder.path) as dataset:
        assert dataset.rows(10, 50)["key"].to_pylist() == rows(50)[0][10:50]
        assert dataset.failures().num_rows == 2
    assert verify(folder.path) == []
