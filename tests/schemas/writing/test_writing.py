"""Writing: the same rows give the same bytes, and rows that do not fit are refused with an explanation."""

import os
import signal
import subprocess
import sys

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies

from lit_precompute.schemas import (
    DatasetError,
    DatasetWriter,
    EmbeddingDataset,
    ShardWriter,
    captions_table,
    embeddings_table,
    failures_table,
)
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.probes import decode_vector, encode_vector
from tests.schemas.making import SOURCE, card, change_manifest, files_of, rows, write


@hypothesis.given(strategies.lists(strategies.integers(1, 30), min_size=1, max_size=12))
@hypothesis.settings(max_examples=15)
def test_bytes_do_not_depend_on_how_rows_are_split(tmp_path_factory, sizes):
    pieces = []
    while sum(pieces) < 50:
        pieces.append(min(sizes[len(pieces) % len(sizes)], 50 - sum(pieces)))
    whole, cut = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("cut")
    write(whole)
    write(cut, pieces=pieces)
    assert files_of(whole) == files_of(cut)


def test_only_the_dataset_is_left(tmp_path):
    write(tmp_path)
    parts = {name.split("/")[0].split("-")[0] for name in files_of(tmp_path)}
    assert parts == {"manifest.json", "shards", "source", "embeddings", "captions", "labels", "failures"}
    assert not (tmp_path / "_work").exists()


def test_a_finished_dataset_is_not_overwritten(tmp_path):
    write(tmp_path)
    with pytest.raises(
        DatasetError, match="contains a finished dataset, and datasets never change; write to another directory"
    ):
        write(tmp_path)


def test_an_exception_leaves_no_files_and_no_manifest(tmp_path):
    keys, vectors, texts, _ = rows(10)
    with (
        pytest.raises(RuntimeError, match="mine"),
        DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=[captions_table()]) as writer,
    ):
        writer.write(keys=keys, embeddings=vectors, columns={"captions": {"texts": texts}})
        raise RuntimeError("mine")
    assert files_of(tmp_path) == {}
    with pytest.raises(DatasetError, match="unfinished job; run its command again to resume"):
        EmbeddingDataset.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": np.zeros((10, 5), np.float32)}, r"vectors must have the shape \[n, 6\], got \[10, 5\]"),
        ({"embeddings": np.full((10, 6), np.nan)}, r"row 'image-0000': embedding\[0\] = nan is not a finite float16"),
        (
            {"embeddings": np.full((10, 6), 7e4)},
            r"embedding\[0\] = 70000.0 is not a finite float16: .* types hold it: float32, bfloat16, int8",
        ),
        (
            {"columns": {"captions": {"texts": [["a"]] * 9}}},
            r"equally long, got {'keys': 10, 'embeddings': 10, 'captions.texts': 9}",
        ),
        ({"columns": {"captions": {"texts": [None] * 10}}}, "row 'image-0000' has no 'texts'"),
        ({"keys": list(range(10))}, "column 'key' takes string"),
        ({"columns": {"labels": {"label": ["a"] * 10}}}, r"for the tables \['captions'\], got \['labels'\]"),
        (
            {"columns": {"captions": {"words": ["a"] * 10}}},
            r"columns must be \['key', 'texts'\], got \['key', 'words'\]",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path, change, message):
    keys, vectors, texts, _ = rows(10)
    with (
        pytest.raises(DatasetError, match=message),
        DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=[captions_table()]) as writer,
    ):
        writer.write(**({"keys": keys, "embeddings": vectors, "columns": {"captions": {"texts": texts}}} | change))


def test_a_shard_whose_tables_have_different_rows_is_refused(tmp_path):
    tables = [embeddings_table(6, "float32"), captions_table()]
    keys, vectors, texts, _ = rows(4)
    with ShardWriter(tmp_path, shard=0, tables=tables) as writer:
        writer.append("embeddings", {"key": keys, "embedding": vectors})
        writer.append("captions", {"key": keys[::-1], "texts": texts})
        with pytest.raises(DatasetError, match=r"the keys of \['captions', 'embeddings'\] differ"):
            writer.finish()
    with ShardWriter(tmp_path, shard=0, tables=tables) as writer:
        writer.append("embeddings", {"key": keys, "embedding": vectors})
        with pytest.raises(DatasetError, match=r"equally many rows, got \{'embeddings': 4, 'captions': 0\}"):
            writer.finish()
    assert files_of(tmp_path) == {}


def test_embeddings_of_a_width_other_than_the_towers_are_refused(tmp_path):
    with (
        pytest.raises(DatasetError, match=r"shape \[n, 7\], got \[10, 6\]"),
        DatasetWriter(tmp_path, tower=card(width=7), source=SOURCE, tables=[captions_table()]) as writer,
    ):
        keys, vectors, texts, _ = rows(10)
        writer.write(keys=keys, embeddings=vectors, columns={"captions": {"texts": texts}})


@pytest.mark.slow
@pytest.mark.parametrize("rows_before_kill", [0, 30, 50])
def test_a_killed_writer_leaves_an_unfinished_job_and_a_rerun_gives_the_same_bytes(tmp_path, rows_before_kill):
    program = f"""
import os, signal
from lit_precompute.schemas import DatasetWriter, captions_table, labels_table
from tests.schemas.making import SOURCE, card, rows
keys, vectors, texts, labels = rows(50)
directory = {str(tmp_path / "killed")!r}
tables = [captions_table(), labels_table()]
w = DatasetWriter(directory, tower=card(), source=SOURCE, tables=tables, rows_per_shard=20, block_rows=8)
n = {rows_before_kill}
if n:
    columns = {{"captions": {{"texts": texts[:n]}}, "labels": {{"label": labels[:n]}}}}
    w.write(keys=keys[:n], embeddings=vectors[:n], columns=columns)
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = subprocess.run([sys.executable, "-c", program], check=False, env=os.environ)
    assert result.returncode == -signal.SIGKILL
    with pytest.raises(DatasetError, match="unfinished job"):
        EmbeddingDataset.open(tmp_path / "killed")
    write(tmp_path / "killed")
    write(tmp_path / "whole")
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_files_are_of_one_block_or_of_several_or_absent(tmp_path):
    """500 shards of a few rows are a few megabytes, not two hundred."""
    keys, vectors, texts, _ = rows(30)
    tables = [embeddings_table(6, "float32"), captions_table(), failures_table()]
    for shard, num_rows in enumerate((0, 1, 8, 9)):
        with ShardWriter(tmp_path, shard=shard, tables=tables, block_rows=8) as writer:
            cut = slice(0, num_rows)
            writer.append_rows(
                keys[cut], {"embeddings": {"embedding": vectors[cut]}, "captions": {"texts": texts[cut]}}
            )
            info = writer.finish()
        assert {table: (file.num_rows, file.num_blocks) for table, file in info.files.items()} == (
            dict.fromkeys(("embeddings", "captions"), (num_rows, -(-num_rows // 8))) if num_rows else {}
        )
    found = files_of(tmp_path)
    assert set(found) == {
        f"{table}/part-0000{name}"
        for table in ("embeddings", "captions")
        for name in ("1.arrow", "2.arrow", "3.arrayrecord")
    }
    for name in ("1", "2"):
        with pa.ipc.open_stream(found[f"embeddings/part-0000{name}.arrow"]) as stream:
            (batch,) = list(stream)
        assert batch.column("key").to_pylist() == keys[: batch.num_rows]
    assert max(len(data) for name, data in found.items() if name.endswith(".arrow")) < 2_000


def test_a_writer_removes_the_shards_that_another_left_and_nothing_else(tmp_path):
    """A killed run had other rows: more shards, and of other sizes."""
    for name in ("part-00000.arrow", "part-00007.arrayrecord", "part-123456.arrow", "mine.txt", "part-00000.arrow.txt"):
        (tmp_path / "captions").mkdir(exist_ok=True)
        (tmp_path / "captions" / name).write_text("left")
    write(tmp_path)
    assert {path.name for path in (tmp_path / "captions").iterdir()} == {
        *(f"part-0000{shard}.arrayrecord" for shard in range(3)),
        "mine.txt",
        "part-00000.arrow.txt",
    }


def test_several_tables_of_embeddings_have_their_own_cards_and_probes(tmp_path):
    keys, vectors, _, _ = rows(50)
    flip, flipped = embeddings_table(4, "float32", "embeddings-flip"), np.float32(vectors[:, :4] * 2)
    cards = {"embeddings-flip": card(4, "a" * 64)}
    with DatasetWriter(
        tmp_path, tower=card(), source=SOURCE, tables=[flip], other_towers=cards, rows_per_shard=20, block_rows=8
    ) as writer:
        writer.write(keys=keys, embeddings=vectors, columns={"embeddings-flip": {"embedding": flipped}})
    assert verify(tmp_path) == []
    with EmbeddingDataset.open(tmp_path) as dataset:
        np.testing.assert_array_equal(dataset.rows(0, 50)["embedding"], vectors.astype(np.float16))
        probe = dataset.manifest.probes[30]
        np.testing.assert_array_equal(decode_vector(probe, 6), vectors[probe.row])
        np.testing.assert_array_equal(decode_vector(probe, 4, "embeddings-flip"), flipped[probe.row])
        assert dataset.manifest.tower == dataset.manifest.towers["embeddings"]
    with EmbeddingDataset.open(tmp_path, tables=["embeddings-flip"]) as dataset:
        assert (dataset.width, dataset.vector_type) == (4, "float32")
        np.testing.assert_array_equal(dataset.rows(0, 50).vectors(), flipped)
    change_manifest(
        tmp_path, lambda m: m["probes"][9]["vectors"].update({"embeddings-flip": encode_vector(flipped[0])})
    )
    (fault,) = verify(tmp_path)
    assert "embeddings-flip/part-00000.arrayrecord: block 1: row 'image-0009'" in fault


@pytest.mark.parametrize(
    ("tables", "towers", "message"),
    [
        ([embeddings_table(4, "int8", "embeddings-b")], {}, r"one card for each of the tables \['embeddings', 'embed"),
        ([], {"embeddings-b": card()}, r"one card for each of the tables \['embeddings'\], got"),
        ([embeddings_table(4, "int8", "embeddings-b")], {"embeddings-b": card()}, "of the tower's width 6, got .* 4"),
        ([captions_table().model_copy(update={"name": "attachments"})], {}, "other files of a dataset have this name"),
        ([captions_table().model_copy(update={"name": "a.json"})], {}, "other files of a dataset have this name"),
    ],
)
def test_tables_and_cards_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, tables, towers, message):
    with pytest.raises(DatasetError, match=message):
        DatasetWriter(tmp_path, tower=card(), source=SOURCE, tables=tables, other_towers=towers)
    assert list(tmp_path.iterdir()) == []


def test_attachments_come_back_checked(tmp_path):
    with DatasetWriter(tmp_path, tower=card(), source=SOURCE) as writer:
        writer.attach("classes.txt", b"dog\ncat\n")
        writer.attach("empty", b"")
        with pytest.raises(DatasetError, match=r"attachment 'empty': given twice"):
            writer.attach("empty", b"")
        for name in ("../x", "a/b", "", ".hidden", "-x", "ä"):
            with pytest.raises(DatasetError, match=f"attachment '{name}': a name may only have letters"):
                writer.attach(name, b"")
    assert verify(tmp_path) == []
    with EmbeddingDataset.open(tmp_path) as dataset:
        assert (dataset.attachment("classes.txt"), dataset.attachment("empty")) == (b"dog\ncat\n", b"")
        with pytest.raises(DatasetError, match=r"no attachment 'x'; it has \['classes.txt', 'empty'\]"):
            dataset.attachment("x")
        (tmp_path / "attachments/classes.txt").write_bytes(b"dog\nCat\n")
        with pytest.raises(DatasetError, match=r"attachments/classes.txt: SHA-256 must be"):
            dataset.attachment("classes.txt")
    (tmp_path / "attachments/other.txt").write_bytes(b"")
    faults = verify(tmp_path)
    assert ["other.txt: not a file" in faults[0], "classes.txt: SHA-256" in faults[1], len(faults)] == [True, True, 2]
