"""Manifests of versions 1 and 2: the rules that their readers know, on copies of the golden datasets."""

import pathlib
import re
import shutil

import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest
from tests.schemas.making import change_manifest

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


def _copy(tmp_path, name, change):
    shutil.copytree(GOLDEN / name, tmp_path / "copy")
    change_manifest(tmp_path / "copy", change)
    return tmp_path / "copy"


def test_they_are_read_in_the_words_of_version_3():
    manifest = Manifest.read(GOLDEN / "dataset_v1/float16")
    assert set(manifest.towers) == {"embeddings"}
    assert manifest.towers["embeddings"] == manifest.tower
    assert manifest.tower.name == "golden"
    assert [(file.path, file.bytes) for file in manifest.source.files] == [("golden.tsv", 99)]
    assert (manifest.source.num_files, manifest.source.num_bytes) == (1, 99)
    assert [shard.num_rows for shard in manifest.shards] == [3, 2]
    environment = manifest.shards[1].environment
    assert (environment.device, environment.libraries["array-record"]) == ("unknown", "0.8.6")
    # A table without rows has a file there, too.
    assert manifest.shards.file("failures", 0).name == "failures/part-00000-of-00002.arrayrecord"


def test_a_tables_digest_never_changes():
    """Unfinished training runs have recorded it."""
    manifest = Manifest.read(GOLDEN / "dataset_v2/float32")
    assert manifest.table_digest("captions") == "e1da097756a21720e5cca9d768a6a68619ce99dd931e01d23ea09d3f23f27fee"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(notes=[]), r"notes: Extra inputs are not permitted, got \[\]"),
        (lambda m: m.update(towers={}), "towers: Extra inputs are not permitted"),
        (lambda m: m["tower"].update(width=3), "tower.width: Extra inputs are not permitted, got 3"),
        (lambda m: m["shards"][0].update(num_rows="3"), r"shards.0.num_rows: .*valid integer, got '3'"),
        (lambda m: m["shards"].reverse(), "shards.0.shard must be 0, got 1"),
        (lambda m: m["ledger"].update(rows_read=53), "the ledger must add up"),
        (lambda m: m["shards"][1]["files"].pop("labels"), "shards.1.files: table 'labels' is missing"),
        (
            lambda m: m["shards"][1]["files"]["labels"].update(num_blocks=9),
            "shard 1.files.labels: must have 2 rows in 1 blocks, got 2 in 9",
        ),
        (
            lambda m: m["tower"].update(output_width=7),
            r"table 'embeddings' must have one vector column, 'embedding', of the tower's width 7, got .*3",
        ),
        (
            lambda m: m["tables"][1].update(reference=0),
            "tables.captions.reference needs format_version 3, got 1",
        ),
        (
            lambda m: m["shards"][0]["files"].update({"../x": m["shards"][0]["files"]["labels"]}),
            r"shards.0.files: must be of the tables \['embeddings', .*\], got '../x'",
        ),
    ],
)
def test_a_broken_rule_of_version_1_is_named(tmp_path, change, message):
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(_copy(tmp_path, "dataset_v1/float32", change))


def test_int8_needs_version_2(tmp_path):
    path = _copy(tmp_path, "dataset_v2/int8", lambda m: m.update(format_version=1))
    message = "embeddings.embedding: int8 vectors and their scales need format_version 2, got 1"
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(path)


@pytest.mark.parametrize(
    "path",
    [
        "../other.arrayrecord",
        "/etc/passwd",
        "labels/part-00000-of-00002.arrayrecord",  # another shard's
        "captions/part-00001-of-00002.arrayrecord",  # another table's
        "labels/../labels/part-00001-of-00002.arrayrecord",
        "./labels/part-00001-of-00002.arrayrecord",
        "gs://bucket/labels/part-00001-of-00002.arrayrecord",
        "labels/part-00001.arrayrecord",  # version 3's
        "",
    ],
)
def test_a_file_has_the_one_path_that_its_table_and_shard_give(tmp_path, path):
    copy = _copy(tmp_path, "dataset_v1/float32", lambda m: m["shards"][1]["files"]["labels"].update(path=path))
    message = f"shards.1.files.labels.path: must be 'labels/part-00001-of-00002.arrayrecord', got '{path}'"
    with pytest.raises(DatasetError, match=re.escape(message)):
        Manifest.read(copy)
