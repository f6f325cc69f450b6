"""Datasets written by each version, as literal bytes: every later version reads them."""

import pathlib

import ml_dtypes
import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.checking.receipt import make_receipt
from lit_precompute.schemas.checking.verification import verify
from tests.golden.dataset_v1 import make as version_1
from tests.golden.dataset_v2 import make as version_2
from tests.golden.dataset_v3 import make as version_3

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "int8": np.int8}


@pytest.mark.parametrize(
    ("version", "golden", "vector_type"),
    [*((1, version_1, name) for name in TYPES if name != "int8"), *((2, version_2, name) for name in TYPES)],
)
def test_every_version_is_read(version, golden, vector_type):
    path = GOLDEN / f"dataset_v{version}" / vector_type
    assert verify(path) == []
    with EmbeddingDataset.open(path) as dataset:
        rows = dataset.rows(0, 5)
        assert rows["key"].to_pylist() == golden.KEYS
        assert rows["texts"].to_pylist() == golden.TEXTS
        if version == 1:
            assert rows["label"].to_pylist() == golden.LABELS
        assert rows["embedding"].dtype == TYPES[vector_type]
        if vector_type != "int8":
            np.testing.assert_array_equal(rows["embedding"], golden.VECTORS.astype(TYPES[vector_type]))
            np.testing.assert_array_equal(rows.vectors(), rows["embedding"].astype(np.float32))
        assert [failure["reason"] for failure in dataset.failures().to_pylist()] == ["empty"]
        assert (dataset.manifest.format_version, dataset.manifest.tower.name) == (version, "golden")
        receipt = make_receipt(dataset)
        assert (receipt is None) == (version == 1)
        assert receipt is None or receipt.is_exact == (vector_type == "float32")


def test_int8_is_read_as_computed_by_hand():
    with EmbeddingDataset.open(GOLDEN / "dataset_v2/int8") as dataset:
        rows = dataset.rows(0, 5, ["embedding"])
    np.testing.assert_array_equal(rows["embedding"], version_2.INT8)
    scales = np.array([1, 2.0**-126, 0.5, 1 / 127, 3.14159e-3 / 127])
    np.testing.assert_allclose(rows["embedding_scale"], scales, rtol=1e-7)
    np.testing.assert_allclose(rows.vectors(), version_2.INT8 * scales[:, None], rtol=2e-7)
    assert not rows.vectors()[1].any()


def test_version_3_is_read():
    path = GOLDEN / "dataset_v3/base"
    assert verify(path) == []
    with EmbeddingDataset.open(path) as dataset:
        rows = dataset.rows(0, 7)
        for column, values in (("key", version_3.KEYS), ("texts", version_3.TEXTS), ("label", version_3.LABELS)):
            assert rows[column].to_pylist() == values
        assert (rows["title"].to_pylist(), rows["tags"].to_pylist()) == (version_3.TITLES, version_3.TAGS)
        np.testing.assert_array_equal(rows["embedding"], version_3.INT8)
        np.testing.assert_allclose(rows["embedding_scale"], version_3.SCALES, rtol=1e-7)
        assert dataset.failures()["key"].to_pylist() == [key for shard in version_3.FAILED for key in shard]
        assert dataset.attachment("classes.txt") == version_3.CLASSES
        manifest = dataset.manifest
    assert [tower.name for tower in manifest.towers.values()] == ["golden", "golden-flip"]
    assert [shard.num_rows for shard in manifest.shards] == [5, 0, 2]
    assert [set(shard.files) & {"failures", "labels"} for shard in manifest.shards] == [
        {"failures", "labels"},
        {"failures"},
        {"labels"},
    ]
    assert [shard.environment for shard in manifest.shards] == [version_3.GPU, version_3.GPU, version_3.CPU]
    assert [file.path for file in manifest.source.files] == ["golden/ä.tsv", "golden/b.tsv"]
    with EmbeddingDataset.open(path, tables=["embeddings-flip"]) as dataset:
        assert (dataset.embeddings, dataset.width, dataset.vector_type) == ("embeddings-flip", 2, "float16")
        np.testing.assert_array_equal(dataset.rows(0, 7)["embedding"], version_3.FLIPPED)
        assert make_receipt(dataset).is_exact


def test_a_derived_dataset_of_version_3_is_read():
    path = GOLDEN / "dataset_v3/derived"
    assert verify(path) == []
    with EmbeddingDataset.open(path) as dataset:
        rows = dataset.rows(0, 7)
        np.testing.assert_array_equal(rows["embedding"], version_3.INT8)
        assert (rows["texts"].to_pylist(), rows["texts_nl"].to_pylist()) == (version_3.TEXTS, version_3.DUTCH)
        assert dataset.failures().num_rows == 3
    with EmbeddingDataset.open(path, tables=["embeddings-large"]) as dataset:
        np.testing.assert_array_equal(dataset.rows(0, 7).vectors(), version_3.LARGER)


def test_table_digests_of_version_3_never_change():
    """Unfinished training runs have recorded them; the same table elsewhere has the same one."""
    with EmbeddingDataset.open(GOLDEN / "dataset_v3/base") as base:
        digest = base.manifest.table_digest("captions")
    assert digest == "df7467528a72a47efc5cbc484fa01447e22e9ed5e5f1c13269146f9021bbc4a3"
    with EmbeddingDataset.open(GOLDEN / "dataset_v3/derived") as derived:
        assert derived.manifest.table_digest("captions") == digest
