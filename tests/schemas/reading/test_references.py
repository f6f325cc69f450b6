"""Tables that are in another dataset: found relative to this one, and only if they are the ones that it refers to."""

import shutil

import numpy as np
import pytest

from lit_precompute.schemas import (
    DatasetError,
    EmbeddingDataset,
    Manifest,
    Reference,
    ShardWriter,
    publish_manifest,
)
from lit_precompute.schemas.checking.verification import verify
from tests.golden.dataset_v2 import make as version_2
from tests.schemas.making import TAGS, change_list, change_manifest, files_of, rows, write


def derive(directory, base, path, *, block_rows=8, **options):
    """Writes a dataset that has the table `tags`, and the others of the dataset `base`, which is at `path`."""
    manifest = Manifest.read(base)
    with EmbeddingDataset.open(base) as dataset:
        keys = dataset.keys().to_pylist()
    shards, start = [], 0
    for shard in manifest.shards:
        own = keys[start : start + shard.num_rows]
        start += len(own)
        with ShardWriter(directory, shard=shard.shard, tables=[TAGS], block_rows=block_rows) as writer:
            writer.append_rows(own, {"tags": {"tags": [[key[-1]] for key in own]}})
            shards.append(shard.model_copy(update={"files": {**shard.files, **writer.finish().files}}))
    return publish_manifest(
        directory,
        **{
            "shards": shards,
            "tables": [*(table.model_copy(update={"reference": 0}) for table in manifest.tables), TAGS],
            "towers": manifest.towers,
            "source": manifest.source.info(),
            "block_rows": block_rows,
            "probes": manifest.probes,
            "references": [Reference(path=path, digest=manifest.digest)],
            **options,
        },
    )


@pytest.fixture
def derived(tmp_path):
    write(tmp_path / "base")
    derive(tmp_path / "new/derived", tmp_path / "base", "../../base")
    return tmp_path / "new/derived"


def test_rows_are_read_from_both(derived):
    assert {name.split("/")[0] for name in files_of(derived) if "/" in name} == {"tags"}
    keys, vectors, texts, _ = rows(50)
    with EmbeddingDataset.open(derived) as dataset:
        found = dataset.rows(0, 50)
        assert found["key"].to_pylist() == keys
        assert found["texts"].to_pylist() == texts
        assert found["tags"].to_pylist() == [[key[-1]] for key in keys]
        np.testing.assert_array_equal(found["embedding"], vectors.astype(np.float16))
        assert dataset.failures().num_rows == 2
    assert verify(derived) == []


def test_both_can_be_moved_together_or_be_named_by_absolute_paths(tmp_path, derived):
    derived.parent.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/derived").rename(tmp_path / "elsewhere/renamed")
    assert verify(tmp_path / "elsewhere/renamed") == []
    derive(tmp_path / "absolute", tmp_path / "base", str(tmp_path / "base"))
    assert verify(tmp_path / "absolute") == []


def test_both_can_be_in_a_store():
    write("memory://references/base", 30)
    derive("memory://references/derived", "memory://references/base", "../base")
    assert verify("memory://references/derived") == []


def test_the_other_dataset_may_be_of_version_2(tmp_path):
    """Its files have other names, and it has files without rows."""
    shutil.copytree("tests/golden/dataset_v2/int8", tmp_path / "base")
    derive(tmp_path / "derived", tmp_path / "base", "../base", block_rows=4)
    assert verify(tmp_path / "derived") == []
    with EmbeddingDataset.open(tmp_path / "derived") as dataset:
        np.testing.assert_array_equal(dataset.rows(0, 5)["embedding"], version_2.INT8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            shutil.rmtree,
            r"derived: refers to the dataset at [^ ]*base, which is not there; put that dataset back there, or derive "
            r"again from where it is now \(docs/derive.md\)$",
        ),
        (
            lambda path: change_manifest(path, lambda m: m.update(order="shuffled")),
            "derived: refers to the dataset at .*base with the digest [0-9a-f]{64}, got [0-9a-f]{64}: it is an",
        ),
        (lambda path: (path / "captions/part-00001.arrayrecord").unlink(), "part-00001.arrayrecord: the file is miss"),
    ],
)
def test_another_dataset_than_the_one_referred_to_is_refused(tmp_path, derived, change, message):
    change(tmp_path / "base")
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(derived)
    assert any("base" in fault for fault in verify(derived))
    with EmbeddingDataset.open(derived, tables=["tags"]) as dataset:  # its own table needs no other dataset
        assert dataset.num_rows == 50


def _set(column, value):
    return lambda directory: change_list(directory, "shards", lambda columns: columns[column].__setitem__(1, value))


def _refer_on(directory):
    """Refers to the dataset itself, whose table is in a third one."""
    write(directory.parent / "third")
    derive(directory.parent / "chain", directory, "../derived")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("captions.bytes", 7), "'captions', which .* must have the files that the list .*, shard 1 differs"),
        (_set("captions.sha256", b"x" * 32), "must have the files that the list of shards names, shard 1 differs"),
        (
            lambda path: change_manifest(path, lambda m: m["tables"][1]["columns"][1].update(name="words")),
            r"'captions', which .* must have the columns .*words.*, got .*texts",
        ),
    ],
)
def test_tables_that_differ_from_those_referred_to_are_refused(derived, change, message):
    change(derived)
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(derived)


def test_a_reference_does_not_lead_to_a_third_dataset(tmp_path, derived):
    with pytest.raises(DatasetError, match=r"'embeddings', which .*chain refers to, must have its files there, not in"):
        derive(tmp_path / "chain", derived, "../new/derived", tables=_all_referenced(derived))


def _all_referenced(directory):
    return [table.model_copy(update={"reference": 0}) for table in Manifest.read(directory).tables]


def test_shards_that_do_not_line_up_are_refused(tmp_path):
    write(tmp_path / "base")
    message = r"must have 3 shards in blocks of 4 rows, got 3 in blocks of 8"
    with pytest.raises(DatasetError, match=r"shard 0.files.embeddings: must have 20 rows in 5 blocks, got 20 in 3"):
        derive(tmp_path / "derived", tmp_path / "base", "../base", block_rows=4)
    derive(tmp_path / "derived", tmp_path / "base", "../base")
    change_manifest(tmp_path / "derived", lambda m: m.update(block_rows=4))
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(tmp_path / "derived")
