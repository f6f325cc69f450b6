"""Writing: the same rows give the same bytes, and rows that do not fit are refused with an explanation."""

import os
import signal
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from lit_precompute.schemas import (
    DatasetError,
    DatasetWriter,
    EmbeddingDataset,
    ShardWriter,
    captions_table,
    embeddings_table,
)
from tests.schemas.making import SOURCE, card, files_of, rows, write


@hypothesis.given(strategies.lists(strategies.integers(1, 30), min_size=1, max_size=12))
@hypothesis.settings(max_examples=15, deadline=None)
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
