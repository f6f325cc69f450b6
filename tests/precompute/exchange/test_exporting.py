"""Exports: imported again they are the same rows; what a layout cannot hold is converted or left out, and said."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.exchange.exporting import NOTE, export_dataset
from lit_precompute.precompute.exchange.layouts.clip_retrieval.writer import ClipRetrievalWriter
from lit_precompute.precompute.exchange.registry import LAYOUTS
from lit_precompute.schemas import DatasetError, DatasetWriter, EmbeddingDataset, Manifest, SourceInfo
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.sharing.selection import Selection
from tests.precompute.exchange.making import imported, keys, vectors, write_dataset
from tests.schemas.making import card, files_of

WRITABLE = [name for name, layout in LAYOUTS.items() if layout.writing is not None]
# What each layout has a place for, beside the embeddings and the texts' embeddings.
HOLDS_VIEWS = {"parquet", "huggingface", "npy"}
HOLDS_WORDS = set(WRITABLE) - {"npy"}


def exported(layout, dataset, output, **options):
    """Exports a dataset."""
    writing = LAYOUTS[layout].writing
    return export_dataset(str(dataset), LAYOUTS[layout], writing.options(), output, **options)


@pytest.mark.parametrize("layout", WRITABLE)
@pytest.mark.parametrize("rows_per_file", [None, 7])
def test_an_export_imported_again_is_the_same_rows(tmp_path, layout, rows_per_file):
    texts, labels = write_dataset(tmp_path / "dataset")
    summary = exported(layout, tmp_path / "dataset", tmp_path / "export", rows_per_file=rows_per_file)
    left_out = ["tags"] + ([] if layout in HOLDS_VIEWS else ["embeddings-view1"])
    left_out += [] if layout in HOLDS_WORDS else ["captions", "labels"]
    assert sorted(summary.left_out) == sorted(left_out)
    assert dict(summary.converted) == {}
    manifest = imported(layout, tmp_path / "export", tmp_path / "back").manifest
    with EmbeddingDataset.open(tmp_path / "back", tables=["embeddings"]) as back:
        assert back.keys().to_pylist() == keys(0, 30)
        np.testing.assert_array_equal(back.rows(0, 30).vectors(), vectors(30))
    names = [table.name for table in manifest.tables]
    with EmbeddingDataset.open(tmp_path / "back") as back:
        rows = back.rows(0, 30)
        np.testing.assert_array_equal(rows.vectors("text_embedding"), vectors(30, seed=2, width=4))
        if layout in HOLDS_WORDS:
            assert rows["label"].to_pylist() == labels
            assert rows["texts"].to_pylist() == texts
    assert ("embeddings-view1" in names) == (layout in HOLDS_VIEWS)
    if layout in HOLDS_VIEWS:
        with EmbeddingDataset.open(tmp_path / "back", tables=["embeddings-view1"]) as back:
            np.testing.assert_array_equal(back.rows(0, 30).vectors(), vectors(30, seed=1))


@pytest.mark.parametrize("layout", WRITABLE)
@pytest.mark.parametrize("vector_type", ["float16", "bfloat16", "int8"])
def test_every_stored_type_is_exported_as_what_other_programs_know(tmp_path, layout, vector_type):
    write_dataset(tmp_path / "dataset", 9, vector_type=vector_type)
    summary = exported(layout, tmp_path / "dataset", tmp_path / "export")
    if vector_type != "float16":
        assert summary.converted["embeddings"] == f"{vector_type} -> float32"
    imported(layout, tmp_path / "export", tmp_path / "back")
    with EmbeddingDataset.open(tmp_path / "dataset", tables=["embeddings"]) as dataset:
        expected = dataset.rows(0, 9).vectors()
    with EmbeddingDataset.open(tmp_path / "back", tables=["embeddings"]) as back:
        np.testing.assert_array_equal(back.rows(0, 9).vectors(), expected)
        # tf.Example has float32 alone
        assert back.vector_type == ("float16" if vector_type == "float16" and layout != "tfrecord" else "float32")


@pytest.mark.parametrize("layout", WRITABLE)
@pytest.mark.parametrize("rows_per_file", [None, 4])
def test_only_the_rows_of_a_selection_are_exported(tmp_path, layout, rows_per_file):
    chosen = np.array([0, 3, 4, 5, 11, 12, 13, 27, 28])
    texts, _ = write_dataset(tmp_path / "dataset")
    selection = Selection.of_rows(Manifest.read(tmp_path / "dataset"), chosen, made_by={})
    summary = exported(
        layout, tmp_path / "dataset", tmp_path / "export", rows_per_file=rows_per_file, selection=selection
    )
    assert summary.num_rows == 9
    assert json.loads((tmp_path / "export" / NOTE).read_text())["selection"] == selection.digest
    imported(layout, tmp_path / "export", tmp_path / "back")
    with EmbeddingDataset.open(tmp_path / "back", tables=["embeddings"]) as back:
        assert back.keys().to_pylist() == [keys(0, 30)[row] for row in chosen]
        np.testing.assert_array_equal(back.rows(0, 9).vectors(), vectors(30)[chosen])
    if layout in HOLDS_WORDS:
        with EmbeddingDataset.open(tmp_path / "back", tables=["captions"]) as back:
            assert back.rows(0, 9)["texts"].to_pylist() == [texts[row] for row in chosen]


def test_a_selection_of_another_dataset_or_of_no_rows_is_refused(tmp_path):
    write_dataset(tmp_path / "dataset")
    write_dataset(tmp_path / "other", 12)
    none = np.zeros(0, np.int64)
    for name, rows, message in (("other", np.arange(3), "another dataset"), ("dataset", none, "no rows to export")):
        selection = Selection.of_rows(Manifest.read(tmp_path / name), rows, made_by={})
        with pytest.raises(DatasetError, match=message):
            exported("npy", tmp_path / "dataset", tmp_path / "export", selection=selection)


def test_another_table_of_embeddings_is_exported_by_its_name(tmp_path):
    write_dataset(tmp_path / "dataset")
    summary = exported("clip-retrieval", tmp_path / "dataset", tmp_path / "export", table="embeddings-view1")
    assert "embeddings" in summary.left_out
    found = np.load(tmp_path / "export/img_emb/img_emb_0.npy")
    np.testing.assert_array_equal(found, vectors(30, seed=1))
    with pytest.raises(DatasetError, match=r"no table of embeddings 'captions'; it has \['embeddings', 'emb"):
        exported("clip-retrieval", tmp_path / "dataset", tmp_path / "other", table="captions")


def test_float16_is_refused_for_a_number_that_it_cannot_hold(tmp_path):
    source = SourceInfo(kind="table", path="a", files=[])
    with DatasetWriter(tmp_path / "dataset", tower=card(), source=source, vector_type="float32") as writer:
        writer.write(keys=["a", "b"], embeddings=np.array([[1.0] * 6, [1e5] * 6], np.float32))
    with pytest.raises(DatasetError, match="row 'b' of 'embeddings' has a number too large for float16"):
        exported("npy", tmp_path / "dataset", tmp_path / "export", vector_type="float16")
    assert exported("npy", tmp_path / "dataset", tmp_path / "export2").num_rows == 2


@pytest.mark.parametrize("layout", WRITABLE)
def test_a_killed_export_begins_anew_and_gives_the_same_bytes(tmp_path, monkeypatch, layout):
    write_dataset(tmp_path / "dataset")
    exported(layout, tmp_path / "dataset", tmp_path / "whole", rows_per_file=7)
    done = []

    def report(rows, total):
        done.append(rows)
        if rows == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exported(layout, tmp_path / "dataset", tmp_path / "export", rows_per_file=7, report=report)
    there = files_of(tmp_path / "export")
    assert NOTE not in there
    assert {name: data for name, data in there.items() if not name.startswith("_work")}.items() <= files_of(
        tmp_path / "whole"
    ).items()
    exported(layout, tmp_path / "dataset", tmp_path / "export", rows_per_file=7)
    assert files_of(tmp_path / "export") == files_of(tmp_path / "whole")


def test_an_unfinished_export_of_another_dataset_and_foreign_files_are_refused(tmp_path):
    write_dataset(tmp_path / "one")
    write_dataset(tmp_path / "two", 12)

    def report(rows, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exported("parquet", tmp_path / "one", tmp_path / "export", report=report)
    with pytest.raises(ClaimError, match="belongs to another dataset's export"):
        exported("parquet", tmp_path / "two", tmp_path / "export")
    with pytest.raises(ClaimError, match="contains files that do not belong"):
        exported("parquet", tmp_path / "one", tmp_path / "two")


def test_a_finished_export_is_called_so(tmp_path):
    write_dataset(tmp_path / "one")
    exported("parquet", tmp_path / "one", tmp_path / "export")
    with pytest.raises(ClaimError, match="export: has a finished export; give an empty --output"):
        exported("parquet", tmp_path / "one", tmp_path / "export")


def test_what_is_there_is_counted_again(tmp_path, monkeypatch):
    write_dataset(tmp_path / "dataset")
    write = ClipRetrievalWriter.write

    def write_short(self, part, blocks, files):
        shorter = part._replace(stop=part.stop - 1, num_rows=part.num_rows - 1)
        write(self, shorter, self.reader.blocks(shorter), files)

    monkeypatch.setattr(ClipRetrievalWriter, "write", write_short)
    with pytest.raises(DatasetError, match="must have 30 rows, 29 are there"):
        exported("clip-retrieval", tmp_path / "dataset", tmp_path / "export")
    assert not (tmp_path / "export" / NOTE).exists()


def test_the_note_says_where_files_come_from(tmp_path):
    write_dataset(tmp_path / "dataset")
    exported("parquet", tmp_path / "dataset", tmp_path / "export")
    note = json.loads((tmp_path / "export" / NOTE).read_text())
    manifest = json.loads((tmp_path / "dataset/manifest.json").read_text())
    assert note["dataset_digest"] == manifest["digest"]
    assert note["towers"]["embeddings"] == manifest["towers"]["embeddings"]
    assert note["ledger"] == {"rows_read": 31, "rows_written": 30, "rows_failed": 1}
    (name,) = note["files"]
    assert (
        json.loads(pq.read_schema(tmp_path / "export" / name).metadata[b"lit_precompute"])["towers"]
        == manifest["towers"]
    )


def test_keys_with_line_breaks_do_not_fit_a_file_of_lines(tmp_path):
    source = SourceInfo(kind="table", path="a", files=[])
    with DatasetWriter(tmp_path / "dataset", tower=card(), source=source) as writer:
        writer.write(keys=["a\nb"], embeddings=vectors(1))
    with pytest.raises(DatasetError, match="has a line break"):
        exported("npy", tmp_path / "dataset", tmp_path / "export")
    assert exported("parquet", tmp_path / "dataset", tmp_path / "other").num_rows == 1
