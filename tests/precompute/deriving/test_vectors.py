"""Deriving with vectors of other datasets and files: each row has the vector of its very key, bit for bit."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.schemas import (
    DatasetError,
    DatasetWriter,
    EmbeddingDataset,
    Manifest,
    captions_table,
    embeddings_table,
)
from lit_precompute.schemas.checking.receipt import make_receipt
from lit_precompute.schemas.checking.verification import verify
from tests.precompute.deriving.making import NUM_ROWS, TEXTS, run, write_tsv
from tests.schemas.making import SOURCE, card, files_of, rows

KEYS = rows(NUM_ROWS)[0]


def write_other(path, keys, *, width=5, vector_type="float16", tables=(), rows_per_shard=20, fingerprint="e" * 64):
    """Writes a dataset of another tower; returns its float32 embeddings by key."""
    vectors = np.random.default_rng(7).standard_normal((len(keys), width)).astype(np.float32)
    more = [embeddings_table(width, vector_type, name) for name in tables]
    tower = card(width, fingerprint)
    with DatasetWriter(
        path,
        tower=tower,
        source=SOURCE,
        tables=more,
        other_towers=dict.fromkeys(tables, tower),
        vector_type=vector_type,
        rows_per_shard=rows_per_shard,
        block_rows=8,
    ) as writer:
        writer.write(keys=keys, embeddings=vectors, columns={name: {"embedding": -vectors} for name in tables})
    return dict(zip(keys, vectors, strict=True))


def vectors_of(path, table, column="embedding"):
    with EmbeddingDataset.open(path, tables=[table]) as dataset:
        block = dataset.rows(0, dataset.num_rows)
        return dict(zip(block["key"].to_pylist(), block.vectors(column), strict=True))


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
def test_embeddings_of_another_order_are_found_by_key_and_stay_the_same_bits(tmp_path, base, vector_type):
    exact = write_other(tmp_path / "other", KEYS[::-1], vector_type=vector_type)
    run(base, tmp_path / "derived", embeddings=(f"large={tmp_path}/other",))
    found, stored = vectors_of(tmp_path / "derived", "embeddings-large"), vectors_of(tmp_path / "other", "embeddings")
    assert list(found) == KEYS
    for key in KEYS:
        np.testing.assert_array_equal(found[key], stored[key])
        np.testing.assert_allclose(found[key], exact[key], rtol=0.02, atol=0.02)
    manifest = Manifest.read(tmp_path / "derived")
    assert manifest.towers["embeddings-large"].fingerprint == "e" * 64
    assert manifest.towers["embeddings"] == Manifest.read(base).tower
    assert verify(tmp_path / "derived") == []  # the probes of both, too
    with EmbeddingDataset.open(tmp_path / "derived", tables=["embeddings-large"]) as dataset:
        receipt = make_receipt(dataset)
        assert receipt is not None and receipt.least_cosine > 0.999


def test_a_table_of_the_same_name_rows_and_blocks_is_referred_to(tmp_path, base):
    write_other(tmp_path / "other", KEYS, tables=["embeddings-view1"])
    run(base, tmp_path / "derived", embeddings=(f"view1={tmp_path}/other",))
    manifest = Manifest.read(tmp_path / "derived")
    assert [reference.path for reference in manifest.references] == ["../base", "../other"]
    assert manifest.table("embeddings-view1").reference == 1
    assert not any("/" in name for name in files_of(tmp_path / "derived"))
    assert verify(tmp_path / "derived") == []
    expected = vectors_of(tmp_path / "other", "embeddings-view1")
    for key, vector in vectors_of(tmp_path / "derived", "embeddings-view1").items():
        np.testing.assert_array_equal(vector, expected[key])


@pytest.mark.parametrize("difference", ["order", "shards"])
def test_with_other_rows_in_its_shards_it_is_written_instead(tmp_path, base, difference):
    """One pair of keys is swapped, or the shards are cut elsewhere."""
    keys = [KEYS[1], KEYS[0], *KEYS[2:]] if difference == "order" else KEYS
    write_other(
        tmp_path / "other", keys, tables=["embeddings-view1"], rows_per_shard=20 if difference == "order" else 16
    )
    run(base, tmp_path / "derived", embeddings=(f"view1={tmp_path}/other",))
    assert Manifest.read(tmp_path / "derived").table("embeddings-view1").reference is None
    expected = vectors_of(tmp_path / "other", "embeddings-view1")
    for key, vector in vectors_of(tmp_path / "derived", "embeddings-view1").items():
        np.testing.assert_array_equal(vector, expected[key])
    assert verify(tmp_path / "derived") == []


def test_every_row_needs_its_vector(tmp_path, base):
    write_other(tmp_path / "other", KEYS[2:])
    with pytest.raises(SourceError, match="other: 2 rows of the dataset's 50 are not in it, and each needs its vector"):
        run(base, tmp_path / "derived", embeddings=(f"large={tmp_path}/other",), max_missing="50%")


def test_several_kinds_in_one_command(tmp_path, base):
    write_other(tmp_path / "other", KEYS[::-1])
    texts = write_tsv(tmp_path / "t.tsv")
    options = {"embeddings": (f"large={tmp_path}/other",), "text_embeddings": (f"t5={tmp_path}/other",)}
    run(base, tmp_path / "derived", texts, **options)
    manifest = Manifest.read(tmp_path / "derived")
    assert [table.name for table in manifest.tables] == [
        "embeddings",
        "captions",
        "labels",
        "text-embeddings-t5",
        "embeddings-large",
        "failures",
    ]
    with EmbeddingDataset.open(tmp_path / "derived") as dataset:
        row = dataset.row_of("image-0009")
        assert dataset.row(row)["texts"] == [TEXTS["image-0009"]]
        np.testing.assert_array_equal(
            dataset.row(row)["text_embedding"], vectors_of(tmp_path / "other", "embeddings")["image-0009"]
        )
    made_by = manifest.job["derive"]["tables"]["text-embeddings-t5"]["made_by"]
    assert made_by["fingerprint"] == "e" * 64
    assert verify(tmp_path / "derived") == []


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_text_embeddings_of_parquet_files(tmp_path, base, kind):
    vectors = np.random.default_rng(1).standard_normal((NUM_ROWS, 3)).astype(np.float16)
    lists = pa.array([list(vector) for vector in vectors], pa.list_(pa.float16())).cast(pa.list_(kind))
    pq.write_table(pa.table({"id": KEYS[::-1], "emb": lists}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"no column 'key'; there are .*'id', 'emb'.*--key-column"):
        run(base, tmp_path / "d", text_embeddings=(f"t5={tmp_path}/t.parquet",), text_tower="T5")
    options = {"columns": SourceColumns(key="id"), "text_tower": "T5, base"}
    run(base, tmp_path / "derived", text_embeddings=(f"t5={tmp_path}/t.parquet",), **options)
    found = vectors_of(tmp_path / "derived", "text-embeddings-t5", "text_embedding")
    for key, vector in zip(KEYS[::-1], vectors, strict=True):
        np.testing.assert_array_equal(found[key], vector.astype(np.float32))
    manifest = Manifest.read(tmp_path / "derived")
    assert manifest.job["derive"]["tables"]["text-embeddings-t5"]["made_by"] == "T5, base"
    assert verify(tmp_path / "derived") == []


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], [3.0]], "row 1: must have 2 numbers, got 1"),
        ([[1.0], [float("nan")]], "row 1: its numbers must be"),
    ],
)
def test_vectors_that_cannot_be_stored_are_refused_with_their_row(tmp_path, base, vectors, message):
    pq.write_table(pa.table({"key": KEYS[:2], "embedding": vectors}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=f"t.parquet, {message}"):
        run(base, tmp_path / "derived", text_embeddings=(f"t5={tmp_path}/t.parquet",), text_tower="T5")


def test_what_made_the_vectors_of_a_file_has_to_be_said(tmp_path, base):
    with pytest.raises(ValueError, match=r"what made them[?] Give it as --text-tower"):
        run(base, tmp_path / "derived", text_embeddings=("t5=t.parquet",))


def test_a_table_that_is_not_there_is_refused_with_those_that_are(tmp_path, base):
    with DatasetWriter(tmp_path / "other", tower=card(), source=SOURCE, tables=[captions_table()]) as writer:
        writer.write(keys=["a"], embeddings=np.ones((1, 6)), columns={"captions": {"texts": [[]]}})
    with pytest.raises(DatasetError, match="there is no directory"):
        run(base, tmp_path / "derived", embeddings=(f"large={tmp_path}/nowhere",))
    with pytest.raises(ValueError, match="--embeddings must be NAME=PATH"):
        run(base, tmp_path / "derived", embeddings=("other",))
