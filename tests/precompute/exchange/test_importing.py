"""Imports: rows of zeros and NaN, repeated keys, declared towers, resuming, outputs that are taken."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.exchange.files.tf_example import serialize
from lit_precompute.precompute.exchange.finished import FinishedUnits
from lit_precompute.precompute.exchange.repeats import check_repeats
from lit_precompute.precompute.sources.planning import hash_keys
from lit_precompute.precompute.sources.records.frames import framed
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.schemas import EmbeddingDataset, Manifest, TowerCard
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from tests.precompute.exchange.making import (
    imported,
    keys,
    source_of,
    vectors,
    write_clip_retrieval,
    write_datacomp,
)
from tests.schemas.making import files_of, write


def test_rows_keep_their_keys_vectors_and_texts(tmp_path):
    written = write_clip_retrieval(tmp_path / "in")
    result = imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    assert list(verify(tmp_path / "out", lambda done, total: None)) == []
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.keys().to_pylist() == keys(0, 29)
        rows = dataset.rows(0, 29)
        np.testing.assert_array_equal(rows["embedding"], written)
        np.testing.assert_array_equal(rows["text_embedding"][10:17], vectors(7, seed=101, kind=np.float16))
        assert rows["texts"].to_pylist() == [[f"text {row}"] for row in range(29)]
    assert (result.manifest.num_rows, result.num_read, dict(result.reasons)) == (29, 29, {})


def test_zeros_and_what_is_not_finite_become_failures(tmp_path):
    written = write_clip_retrieval(tmp_path / "in", (10,))
    written[2], written[3, 1], written[4, 0] = 0, np.nan, np.inf
    np.save(tmp_path / "in/img_emb/img_emb_0.npy", written)
    texts = vectors(10, seed=100, kind=np.float16)
    texts[7] = 0
    np.save(tmp_path / "in/text_emb/text_emb_0.npy", texts)
    result = imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    ledger = result.manifest.ledger
    assert (ledger.rows_read, ledger.rows_written, ledger.rows_failed) == (10, 6, 4)
    assert dict(result.reasons) == {"zero": 2, "not-finite": 2}
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        failures = dataset.failures().to_pylist()
        assert dataset.keys().to_pylist() == [f"img/{row:04d}" for row in (0, 1, 5, 6, 8, 9)]
    assert [(row["key"], row["reason"]) for row in failures] == [
        ("img/0002", "zero"),
        ("img/0003", "not-finite"),
        ("img/0004", "not-finite"),
        ("img/0007", "zero"),
    ]
    assert failures[0]["source"] == f"{tmp_path}/in/img_emb/img_emb_0.npy, row 2"


def test_columns_that_say_what_failed_are_believed(tmp_path):
    table = pa.table(
        {
            "key": ["a", "b", "c", "d"],
            "embedding": vectors(4).tolist(),
            "exists": [True, False, True, None],
            "error": [None, None, "timed out", ""],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    imported("parquet", tmp_path / "a.parquet", tmp_path / "out")
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.keys().to_pylist() == ["a", "d"]
        found = [(row["key"], row["reason"], row["message"]) for row in dataset.failures().to_pylist()]
    assert found == [("b", "missing", "the source says that there is none"), ("c", "failed-at-source", "timed out")]


def test_texts_that_cannot_be_used_are_noted_and_keep_their_rows(tmp_path):
    texts = pa.array([b"a", b"\xff", None]).view(pa.string())
    pq.write_table(
        pa.table({"key": ["x", "y", "z"], "emb": vectors(3).tolist(), "text": texts}), tmp_path / "a.parquet"
    )
    manifest = imported("parquet", tmp_path / "a.parquet", tmp_path / "out").manifest
    assert [(note.what, note.count, note.first) for note in manifest.notes] == [
        ("'text' is not UTF-8, left out", 1, "y")
    ]
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.rows(0, 3)["texts"].to_pylist() == [["a"], [], []]


@pytest.mark.parametrize("places", [(3, 4), (3, 25)], ids=["one file", "two files"])
def test_a_repeated_key_is_refused_with_both_places(tmp_path, places):
    write_clip_retrieval(tmp_path / "in", (10, 10, 10))
    first, second = places
    path = tmp_path / f"in/metadata/metadata_{second // 10}.parquet"
    table = pq.read_table(path).to_pydict()
    table["image_path"][second % 10] = keys(first, 1)[0]
    pq.write_table(pa.table(table), path)
    with pytest.raises(SourceError) as error:
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    assert "duplicate key 'img/0003'" in str(error.value)
    assert f"img_emb_{second // 10}.npy, row {second % 10}" in str(error.value)
    assert f"img_emb_{first // 10}.npy, row {first % 10}" in str(error.value)
    assert not (tmp_path / "out/manifest.json").exists()


def test_repeats_are_found_in_several_passes_of_bounded_memory(tmp_path):
    write_clip_retrieval(tmp_path / "in", (10, 10))
    source = source_of("clip-retrieval", tmp_path / "in")
    plan = source.plan()

    class Kept(FinishedUnits):
        def hashes(self, num_units):
            return iter(hashes)

    hashes = [hash_keys(keys(unit.start + 10 * ("_1." in unit.name), unit.stop - unit.start)) for unit in plan.units]
    check_repeats(source, plan.units, Kept(None, None), max_keys=3)
    hashes[-1] = hashes[0][:16]
    check_repeats(source, plan.units, Kept(None, None), max_keys=3)  # equal hashes of keys that differ


def test_numbered_keys_need_no_column(tmp_path):
    write_clip_retrieval(tmp_path / "in", (3, 2))
    imported("clip-retrieval", tmp_path / "in", tmp_path / "out", number_keys=True)
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.keys().to_pylist() == ["img_emb_0/0", "img_emb_0/1", "img_emb_0/2", "img_emb_1/0", "img_emb_1/1"]


def test_a_declared_tower_is_never_taken_for_a_verified_one(tmp_path):
    write_clip_retrieval(tmp_path / "in")
    tower = imported("clip-retrieval", tmp_path / "in", tmp_path / "out", tower="vit_l14").manifest.tower
    assert tower.is_declared
    assert tower.model_identity is None
    assert tower.fingerprint.startswith("declared-")
    assert tower == TowerCard.declare("vit_l14", 6)
    others = [
        TowerCard.declare("vit_l16", 6),
        TowerCard.declare("vit_l14", 7),
        TowerCard.declare("vit_l14", 6, weights="a"),
    ]
    assert tower.fingerprint not in [other.fingerprint for other in others]


def test_a_tower_must_be_named_unless_the_layout_knows_it(tmp_path):
    write_clip_retrieval(tmp_path / "in")
    with pytest.raises(SourceError, match="name it with --tower"):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out", tower="")
    written = write_datacomp(tmp_path / "datacomp", save=np.savez_compressed)
    manifest = imported("datacomp", tmp_path / "datacomp", tmp_path / "out", tower="").manifest
    names = {table: tower.name for table, tower in manifest.towers.items()}
    assert names == {"embeddings": "OpenAI CLIP ViT-L/14", "embeddings-b32": "OpenAI CLIP ViT-B/32"}
    with EmbeddingDataset.open(tmp_path / "out", tables=["embeddings", "captions"]) as dataset:
        np.testing.assert_array_equal(dataset.rows(0, 17)["embedding"], written)
        assert dataset.row(10)["key"] == f"{1:016x}{0:016x}"


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_an_interrupted_import_goes_on_and_gives_the_same_bytes(tmp_path, monkeypatch, stop_after):
    write_clip_retrieval(tmp_path / "in", (10, 10, 10))
    imported("clip-retrieval", tmp_path / "in", tmp_path / "whole")
    write_note, written = FinishedUnits.write, []

    def write_and_stop(self, number, unit, hashes):
        if len(written) == stop_after:
            raise KeyboardInterrupt
        written.append(number)
        write_note(self, number, unit, hashes)

    monkeypatch.setattr(FinishedUnits, "write", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(Exception, match="unfinished job"):
        Manifest.read(tmp_path / "out")
    result = imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    assert result.num_read == 30 - sum(8 if number % 2 == 0 else 2 for number in range(stop_after))
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    again = imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    assert (again.num_read, again.manifest) == (0, result.manifest)


def test_an_import_that_was_killed_after_publishing_only_removes_its_notes(tmp_path, monkeypatch):
    write_clip_retrieval(tmp_path / "in")
    monkeypatch.setattr(FinishedUnits, "remove", lambda self: None)
    imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    monkeypatch.undo()
    (tmp_path / "out/_work/import/00000.keys").unlink()
    assert imported("clip-retrieval", tmp_path / "in", tmp_path / "out").num_read == 0
    assert not (tmp_path / "out/_work").exists()


def test_columns_that_are_not_imported_are_named(tmp_path):
    columns = {"key": ["a"], "emb": vectors(1).tolist(), "url": ["http://a"], "NSFW": ["UNLIKELY"], "text": ["b"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (note,) = imported("parquet", tmp_path / "a.parquet", tmp_path / "out").manifest.notes
    assert note.what == "columns that are not imported: ['url', 'NSFW']"


def test_records_of_tfds_without_keys_are_numbered_by_their_files(tmp_path):
    """As in TFDS's laion400m/embeddings: float16 has become float32, and `key` is not a feature."""
    for number in range(2):
        records = [
            {"image_embedding": row, "text_embedding": row + 1, "caption": [f"text {number}"], "nsfw": np.array([3.0])}
            for row in vectors(3, seed=number)
        ]
        data = b"".join(framed(serialize(record)) for record in records)
        (tmp_path / f"laion400m-train.tfrecord-{number:05d}-of-00002").write_bytes(data)
    (tmp_path / "dataset_info.json").write_text("{}")
    imported("tfrecord", tmp_path, tmp_path / "out", dtype="float16")
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        row = dataset.row(4)
        assert row["key"] == "laion400m-train.tfrecord-00001-of-00002/1"
        assert row["texts"] == ["text 1"]
        np.testing.assert_array_equal(row["embedding"], vectors(3, seed=1)[1].astype(np.float16))
        np.testing.assert_array_equal(row["text_embedding"], (vectors(3, seed=1)[1] + 1).astype(np.float16))


def test_hidden_files_are_no_shards(tmp_path):
    write_clip_retrieval(tmp_path / "in")
    for name in ("img_emb/._img_emb_0.npy", "metadata/_part.parquet"):
        (tmp_path / "in" / name).write_bytes(b"the system's own")
    assert imported("clip-retrieval", tmp_path / "in", tmp_path / "out").manifest.num_rows == 29


def test_a_source_that_changed_is_not_mixed_with_what_was_written(tmp_path, monkeypatch):
    write_clip_retrieval(tmp_path / "in", (10, 10))
    monkeypatch.setattr("lit_precompute.precompute.exchange.importing.check_repeats", None)
    with pytest.raises(TypeError):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    monkeypatch.undo()
    write_clip_retrieval(tmp_path / "in", (10, 11))
    with pytest.raises(ClaimError, match="belongs to another import"):
        imported("clip-retrieval", tmp_path / "in", tmp_path / "out")


def test_outputs_that_are_something_else_stay_as_they_were(tmp_path):
    write_clip_retrieval(tmp_path / "in", (3,))
    write(tmp_path / "dataset")
    (tmp_path / "job/_work").mkdir(parents=True)
    (tmp_path / "job/_work/job.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    for name in ("dataset", "job", "other"):
        before = files_of(tmp_path / name)
        with pytest.raises(ClaimError):
            imported("clip-retrieval", tmp_path / "in", tmp_path / name)
        assert files_of(tmp_path / name) == before


@pytest.mark.parametrize(
    ("given", "stored"),
    [(np.float16, "float16"), (np.float32, "float32"), (np.float64, "float32")],
)
def test_vectors_are_stored_in_the_type_that_loses_nothing(tmp_path, given, stored):
    write_clip_retrieval(tmp_path / "in", (5,), kind=given)
    imported("clip-retrieval", tmp_path / "in", tmp_path / "out")
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.vector_type == stored


def test_numbers_that_the_type_cannot_hold_become_failures(tmp_path):
    write_clip_retrieval(tmp_path / "in", (5,), kind=np.float64)
    images = vectors(5, kind=np.float64)
    images[1, 0], images[2, 0] = 1e300, 1e6
    np.save(tmp_path / "in/img_emb/img_emb_0.npy", images)
    assert dict(imported("clip-retrieval", tmp_path / "in", tmp_path / "out").reasons) == {"not-finite": 1}
    found = imported("clip-retrieval", tmp_path / "in", tmp_path / "half", dtype="float16")
    assert dict(found.reasons) == {"not-finite": 2}
