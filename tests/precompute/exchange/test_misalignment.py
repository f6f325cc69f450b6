"""Shards that are empty, missing, short or long in one of several aligned tables: always an error, never a row moved.

embedding-reader 1.8.1 pairs files by their place in a listing: with one of three shards missing, it gives 20 of 30 rows
the wrong metadata, without a word.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.sources.source import SourceError
from tests.precompute.exchange.making import (
    imported,
    keys,
    vectors,
    write_clip_retrieval,
    write_datacomp,
)

_TABLES = ["img_emb", "text_emb", "metadata"]


def _file(folder, table, number):
    return folder / table / f"{table}_{number}.{'parquet' if table == 'metadata' else 'npy'}"


def _rewrite(path, count):
    if path.suffix == ".npy":
        np.save(path, vectors(count, kind=np.float16))
    else:
        pq.write_table(pa.table({"image_path": keys(500, count), "caption": ["other"] * count}), path)


@pytest.mark.parametrize("table", _TABLES)
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("count", [0, 9, 11], ids=["empty", "short", "long"])
def test_a_shard_of_another_length_is_refused_with_both_counts(tmp_path, table, number, count):
    write_clip_retrieval(tmp_path / "in", (10, 10, 10))
    _rewrite(_file(tmp_path / "in", table, number), count)
    with pytest.raises(SourceError) as error:
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    for other in _TABLES:
        rows = count if other == table else 10
        assert f"{_file(tmp_path / 'in', other, number)} has {rows} rows" in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("table", _TABLES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_missing_shard_is_refused_by_its_number(tmp_path, table, number):
    write_clip_retrieval(tmp_path / "in", (10, 10, 10))
    _file(tmp_path / "in", table, number).unlink()
    with pytest.raises(SourceError, match=rf"in/{table}: no file of the number {number}, which \w+ has") as error:
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    assert "there are 2 files of" in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("table", _TABLES)
@pytest.mark.parametrize("number", [0, 2])
def test_a_shard_of_no_bytes_is_refused(tmp_path, table, number):
    write_clip_retrieval(tmp_path / "in", (10, 10, 10))
    _file(tmp_path / "in", table, number).write_bytes(b"")
    with pytest.raises(SourceError, match=f"{table}_{number}"):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("table", _TABLES)
def test_a_shard_that_is_there_twice_is_refused(tmp_path, table):
    write_clip_retrieval(tmp_path / "in", (10, 10))
    path = _file(tmp_path / "in", table, 1)
    path.with_stem(f"{table}_01").write_bytes(path.read_bytes())
    with pytest.raises(SourceError, match="has the number of"):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")


def test_a_file_of_another_name_among_the_shards_is_refused(tmp_path):
    write_clip_retrieval(tmp_path / "in", (10, 10))
    np.save(tmp_path / "in/img_emb/img_emb_1 (copy).npy", vectors(10))
    with pytest.raises(SourceError, match=r"must be named img_emb_N\.npy"):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")


def test_a_number_that_no_folder_has_is_noted(tmp_path):
    write_clip_retrieval(tmp_path / "in", (10, 10, 10))
    for table in _TABLES:
        _file(tmp_path / "in", table, 1).unlink()
    (note,) = imported("clip-retrieval", tmp_path / "in", tmp_path / "out").manifest.notes
    assert note.what == "no folder has a file of the number 1: these rows are not in the dataset"


@pytest.mark.parametrize("count", [0, 9, 11], ids=["empty", "short", "long"])
@pytest.mark.parametrize("name", ["l14_img", "b32_txt"])
def test_datacomp_arrays_of_another_length_are_refused(tmp_path, name, count):
    write_datacomp(tmp_path / "in", (10, 10))
    path = tmp_path / "in" / f"{1:032x}.npz"
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, name: arrays[name][:1].repeat(count, axis=0)})
    with pytest.raises(SourceError) as error:
        imported("datacomp", tmp_path / "in", tmp_path / "out")
    assert f"{path}, array '{name}' has {count} rows" in str(error.value)
    assert f"{path.with_suffix('.parquet')} has 10 rows" in str(error.value)


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_half_a_datacomp_pair_is_refused(tmp_path, ending):
    write_datacomp(tmp_path / "in", (10, 10))
    path = tmp_path / "in" / f"{1:032x}{ending}"
    path.unlink()
    with pytest.raises(SourceError, match=f"{path}: is not there"):
        imported("datacomp", tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("count", [0, 9, 11], ids=["empty", "short", "long"])
@pytest.mark.parametrize("form", ["txt", "npy"])
def test_keys_of_another_number_than_vectors_are_refused(tmp_path, count, form):
    np.save(tmp_path / "embeddings.npy", vectors(10))
    if form == "txt":
        (tmp_path / "keys.txt").write_text("".join(f"{key}\n" for key in keys(0, count)))
    else:
        np.save(tmp_path / "keys.npy", np.array(keys(0, count), "U20"))
    with pytest.raises(SourceError, match=rf"keys\.{form} has {count} rows"):
        imported("npy", tmp_path, tmp_path / "out")


def test_files_of_different_widths_are_refused(tmp_path):
    write_clip_retrieval(tmp_path / "in", (10, 10))
    np.save(_file(tmp_path / "in", "img_emb", 1), vectors(10, width=5))
    with pytest.raises(SourceError, match=r"img_emb_1\.npy: vectors have 5 numbers, those of .*img_emb_0\.npy 6"):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
