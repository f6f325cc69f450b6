"""Copies between disk and stores: whole ones to the byte, parts as a writer would have written them."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset, Manifest, publish_manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.manifest.parts import Note
from lit_precompute.schemas.sharing import transfer
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.part import Part
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import StorageError, batches, open_folder
from tests.schemas.making import files_of, rows, write
from tests.stores.proxy import Fault, store_proxy

GOLDENS = ["dataset_v1/float16", "dataset_v2/int8", "dataset_v3/base"]
GOLDEN = pathlib.Path("tests/golden")


@pytest.fixture(params=["disk", "memory", "gs", "s3"])
def place(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path / "place")
    if request.param == "memory":
        return f"memory:/{tmp_path}"
    return request.getfixturevalue("gcs_bucket" if request.param == "gs" else "s3_bucket")


@pytest.fixture(params=["disk", "memory"])
def quick_place(request, tmp_path):
    return str(tmp_path / "place") if request.param == "disk" else f"memory:/{tmp_path}"


def content_of(place):
    folder = open_folder(place)
    return {name: folder.read(name) for name in folder.find()}


def _plain(row, columns):
    return {
        name: value.tolist() if hasattr(value, "tolist") else value for name, value in row.items() if name in columns
    }


def test_to_a_store_and_back_every_byte_is_the_same(tmp_path, place):
    write(tmp_path / "a")
    sent = copy_dataset(tmp_path / "a", f"{place}/b", num_threads=3)
    assert not sent.was_there
    assert content_of(f"{place}/b") == files_of(tmp_path / "a")
    fetched = copy_dataset(f"{place}/b", tmp_path / "c")
    assert fetched.manifest.digest == sent.manifest.digest == Manifest.read(tmp_path / "a").digest
    assert files_of(tmp_path / "c") == files_of(tmp_path / "a")
    assert copy_dataset(f"{place}/b", f"{place}/d/e").manifest == sent.manifest
    assert verify(f"{place}/d/e") == []


def test_what_a_store_cuts_short_is_sent_again(tmp_path, s3_server):
    write(tmp_path / "a")
    with store_proxy(s3_server) as proxy:
        bucket = proxy.server.make_bucket()
        proxy.fail(Fault("half", "PUT", "embeddings"), times=2)
        copy_dataset(tmp_path / "a", f"{bucket}/b")
        assert proxy.num_left == 0
        assert content_of(f"{bucket}/b") == files_of(tmp_path / "a")
        proxy.fail(Fault("half", "PUT", "embeddings"), times=1_000)
        with pytest.raises(StorageError, match=r"/c/embeddings/part-00000.*the store has other bytes than it was sent"):
            copy_dataset(tmp_path / "a", f"{bucket}/c")
        with pytest.raises(DatasetError, match="unfinished"):
            Manifest.read(f"{bucket}/c")


def test_the_manifest_comes_after_all_files_were_flushed(tmp_path, monkeypatch):
    write(tmp_path / "a")
    flushed, flush = [], batches.flush

    def noted(path):
        assert not (tmp_path / "b/manifest.json").exists()
        flushed.append(path)
        flush(path)

    monkeypatch.setattr(batches, "flush", noted)
    copy_dataset(tmp_path / "a", tmp_path / "b")
    num_files = sum(len(list((tmp_path / "b" / table).iterdir())) for table in ("embeddings", "captions", "labels"))
    assert sum(path.name.startswith(transfer.SCRATCH_NAME) for path in flushed) >= num_files == 9
    assert {tmp_path / "b" / table for table in ("embeddings", "captions", "labels")} <= set(flushed)


def test_large_files_go_through_a_temporary_one(tmp_path, place, monkeypatch):
    monkeypatch.setattr(transfer, "_IN_MEMORY_BYTES", 1)
    write(tmp_path / "a")
    copy_dataset(tmp_path / "a", f"{place}/b")
    copy_dataset(f"{place}/b", f"{place}/c")
    assert content_of(f"{place}/c") == files_of(tmp_path / "a")


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_of_every_version_keep_their_bytes(tmp_path, name):
    copy_dataset(GOLDEN / name, tmp_path / "copy")
    assert files_of(tmp_path / "copy") == files_of(GOLDEN / name)


@pytest.mark.parametrize("name", GOLDENS)
@pytest.mark.parametrize("given", [{"shards": "0"}, {"rows": 2}, {"rows": 4}, {"tables": "embeddings"}])
def test_parts_of_every_version_are_sound_and_have_the_rows(tmp_path, name, given):
    copied = copy_dataset(GOLDEN / name, tmp_path / "part", Part.parse(**given))
    assert verify(tmp_path / "part") == []
    with EmbeddingDataset.open(GOLDEN / name) as whole, EmbeddingDataset.open(tmp_path / "part") as part:
        expected = [_plain(whole.row(row), part.columns) for row in range(len(part))]
        assert [_plain(part.row(row), part.columns) for row in range(len(part))] == expected
    assert copied.manifest.format_version == 3 or copied.manifest == Manifest.read(GOLDEN / name)


@pytest.mark.parametrize("vector_type", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("count", [1, 8, 20, 31])
def test_the_first_rows_have_the_bytes_that_a_writer_gives_them(tmp_path, count, vector_type):
    write(tmp_path / "whole", 50, vector_type=vector_type, failures=0)
    write(tmp_path / "expected", count, vector_type=vector_type, failures=0)
    copy_dataset(tmp_path / "whole", tmp_path / "part", Part(max_rows=count))
    found, expected = files_of(tmp_path / "part"), files_of(tmp_path / "expected")
    assert {name: data for name, data in found.items() if name != "manifest.json"} == {
        name: data for name, data in expected.items() if name != "manifest.json"
    }
    digest = Manifest.read(tmp_path / "whole").digest
    assert Manifest.read(tmp_path / "part").job == {"copied_from": {"digest": digest, "rows": count}}


def test_shards_are_numbered_anew_and_probes_follow_their_rows(tmp_path):
    write(tmp_path / "a")
    copied = copy_dataset(tmp_path / "a", tmp_path / "b", Part.parse(shards="1-2", rows=25)).manifest
    assert verify(tmp_path / "b") == []
    keys, *_ = rows(50)
    with EmbeddingDataset.open(tmp_path / "b") as part:
        assert part.keys().to_pylist() == keys[20:45]
    assert [(probe.row, probe.key) for probe in copied.probes] == [(row, keys[20 + row]) for row in range(25)]
    # The two failures are in the last shard, which is cut.
    assert (copied.ledger.rows_read, copied.ledger.rows_written, copied.ledger.rows_failed) == (25, 25, 0)
    whole_last = copy_dataset(tmp_path / "a", tmp_path / "c", Part.parse(shards="2")).manifest
    assert whole_last.ledger.rows_failed == 2
    again = copy_dataset(tmp_path / "b", tmp_path / "d", Part(max_rows=3)).manifest
    assert again.job["copied_from"]["copied_from"] == copied.job["copied_from"]


SELECTED = [0, 7, 8, 19, *range(20, 40), 41]  # of the shards of rows 0-19, 20-39 and 40-49


@pytest.mark.parametrize("vector_type", ["float16", "int8"])
def test_selected_rows_have_the_bytes_that_a_writer_gives_them(tmp_path, place, vector_type):
    manifest = write(tmp_path / "whole", 50, vector_type=vector_type)
    selection = Selection.of_rows(manifest, np.array(SELECTED), made_by={})
    part = copy_dataset(tmp_path / "whole", f"{place}/part", Part(selection=selection)).manifest
    assert verify(f"{place}/part") == []
    assert part.shards.num_rows.tolist() == [4, 20, 1]
    assert part.job == {"copied_from": {"digest": manifest.digest, "selection": selection.digest}}
    with EmbeddingDataset.open(tmp_path / "whole") as whole, EmbeddingDataset.open(f"{place}/part") as found:
        expected = whole.take(SELECTED)
        rows = found.rows(0, len(SELECTED))
        assert rows["key"].to_pylist() == expected["key"].to_pylist()
        assert rows["texts"].to_pylist() == expected["texts"].to_pylist()
        assert np.array_equal(rows["embedding"].view(np.uint8), expected["embedding"].view(np.uint8))
        probed = {probe.key: probe.row for probe in part.probes}
        assert probed == {key: row for row, key in enumerate(expected["key"].to_pylist())}
    names = [f"{table}/part-00001.arrayrecord" for table in ("embeddings", "captions", "labels")]
    whole, copied = files_of(tmp_path / "whole"), content_of(f"{place}/part")
    assert [copied[name] for name in names] == [whole[name] for name in names]  # a shard of which all is selected


def test_selected_rows_of_some_shards_and_the_first_of_them(tmp_path):
    manifest = write(tmp_path / "whole", 50)
    selection = Selection.of_rows(manifest, np.array(SELECTED), made_by={})
    for given, expected in (
        ({"shards": ((0, 1), (2, 3))}, [0, 7, 8, 19, 41]),
        ({"max_rows": 6}, [0, 7, 8, 19, 20, 21]),
        ({"shards": ((1, 3),), "max_rows": 21}, [*range(20, 40), 41]),
    ):
        place = tmp_path / f"part-{len(expected)}"
        copy_dataset(tmp_path / "whole", place, Part(selection=selection, **given))
        assert verify(place) == []
        with EmbeddingDataset.open(place) as part:
            assert part.keys().to_pylist() == [rows(50)[0][row] for row in expected]


def test_a_selection_of_all_rows_is_the_whole_dataset(tmp_path):
    manifest = write(tmp_path / "whole", 50)
    selection = Selection.of_rows(manifest, np.arange(50), made_by={})
    assert copy_dataset(tmp_path / "whole", tmp_path / "part", Part(selection=selection)).manifest == manifest


def test_a_selection_of_other_rows_or_of_none_is_refused(tmp_path):
    manifest = write(tmp_path / "whole", 50)
    other = Selection.of_rows(write(tmp_path / "other", 40), np.array([1]), made_by={})
    none = Selection.of_rows(manifest, np.array([], np.int64), made_by={})
    some = Selection.of_rows(manifest, np.array([1]), made_by={})
    for part, words in (
        (Part(selection=other), "--selection: was made of the rows of another dataset"),
        (Part(selection=none), "--selection: no row of it is in these shards"),
        (Part(selection=some, shards=((1, 2),)), "--selection: no row of it is in these shards"),
    ):
        with pytest.raises(DatasetError, match=words):
            copy_dataset(tmp_path / "whole", tmp_path / "part", part)


def test_notes_of_shards_that_are_left_out_are_left_out(tmp_path):
    manifest = write(tmp_path / "a", failures=0)
    shards = list(manifest.shards)
    shards[0] = shards[0].model_copy(update={"notes": [Note(what="captions left out", count=3, first="image-0001")]})
    shards[2] = shards[2].model_copy(update={"notes": [Note(what="captions left out", count=2, first="image-0041")]})
    publish_manifest(
        tmp_path / "a",
        shards=shards,
        tables=manifest.tables,
        towers=manifest.towers,
        source=manifest.source.info(),
        probes=manifest.probes,
        notes=[Note(what="captions left out", count=1, first="x.tsv"), Note(what="files skipped", count=4, first="y")],
        block_rows=manifest.block_rows,
    )
    copied = copy_dataset(tmp_path / "a", tmp_path / "b", Part.parse(shards="1-2")).manifest
    assert {note.what: note.count for note in copied.notes} == {"captions left out": 3, "files skipped": 4}
    cut = copy_dataset(tmp_path / "a", tmp_path / "c", Part(max_rows=10)).manifest
    assert {note.what: note.count for note in cut.notes} == {"captions left out": 1, "files skipped": 4}


def test_a_derived_dataset_keeps_its_references(tmp_path):
    for name in ("base", "derived"):
        shutil.copytree(GOLDEN / "dataset_v3" / name, tmp_path / "here" / name)
    digest = Manifest.read(tmp_path / "here/derived").digest
    # Beside it the relative path leads to the same dataset: not a byte differs.
    assert copy_dataset(tmp_path / "here/derived", tmp_path / "here/second").manifest.digest == digest
    elsewhere = copy_dataset(tmp_path / "here/derived", tmp_path / "there/derived").manifest
    assert [each.path for each in elsewhere.references] == [str(tmp_path / "here/base")]
    assert verify(tmp_path / "there/derived") == []
    assert not (tmp_path / "there/derived/captions").exists()
    # A part of its rows has files of its own: a reference is to a whole table.
    part = copy_dataset(tmp_path / "here/derived", tmp_path / "part", Part(max_rows=2)).manifest
    assert list(part.references) == []
    assert verify(tmp_path / "part") == []
    only = copy_dataset(tmp_path / "here/derived", tmp_path / "only", Part.parse(tables="captions")).manifest
    assert "captions" in [table.name for table in only.tables]
    assert verify(tmp_path / "only") == []


def test_a_base_that_vanished_is_named(tmp_path):
    shutil.copytree(GOLDEN / "dataset_v3/derived", tmp_path / "derived")
    with pytest.raises(DatasetError, match="base"):
        copy_dataset(tmp_path / "derived", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_other_machines_cannot_follow_a_reference_to_this_one(gcs_bucket):
    said = []
    copy_dataset(GOLDEN / "dataset_v3/derived", f"{gcs_bucket}/derived", say=said.append)
    assert "which is on this machine" in said[0]


@pytest.mark.parametrize("change", ["flip", "cut", "missing"])
def test_a_damaged_file_is_named_and_nothing_is_complete(tmp_path, quick_place, change):
    write(tmp_path / "a")
    copy_dataset(tmp_path / "a", f"{quick_place}/a")
    folder, name = open_folder(f"{quick_place}/a"), "captions/part-00001.arrayrecord"
    data = folder.read(name)
    if change == "missing":
        folder.remove(name)
    else:
        folder.write(name, data[:-1] if change == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(DatasetError, match=rf"a/{name}: "):
        copy_dataset(f"{quick_place}/a", f"{quick_place}/b")
    with pytest.raises(DatasetError, match="unfinished"):
        Manifest.read(f"{quick_place}/b")
    assert not open_folder(f"{quick_place}/b").exists(name)
    folder.write(name, data)
    copy_dataset(f"{quick_place}/a", f"{quick_place}/b")
    assert content_of(f"{quick_place}/b") == files_of(tmp_path / "a")


def test_a_copy_is_resumed_with_what_is_there(tmp_path, quick_place):
    write(tmp_path / "a")
    first = []
    with pytest.raises(KeyboardInterrupt):

        def stop(progress):
            first.append(progress)
            if progress.num_files == 4:
                raise KeyboardInterrupt

        copy_dataset(tmp_path / "a", f"{quick_place}/b", report=stop, num_threads=1)
    with pytest.raises(ClaimError, match=r"belongs to another copy: --rows is None there, 7 was requested"):
        copy_dataset(tmp_path / "a", f"{quick_place}/b", Part(max_rows=7))
    write(tmp_path / "other", 30)
    with pytest.raises(ClaimError, match="belongs to another copy: the digest of the dataset is '"):
        copy_dataset(tmp_path / "other", f"{quick_place}/b")
    seen = []
    copy_dataset(tmp_path / "a", f"{quick_place}/b", report=seen.append)
    assert seen[-1].num_files == seen[-1].all_files == 10
    assert seen[-1].bytes_before >= first[-1].num_bytes > 0
    assert content_of(f"{quick_place}/b") == files_of(tmp_path / "a")


def test_a_finished_copy_is_looked_at(tmp_path, quick_place):
    write(tmp_path / "a")
    copy_dataset(tmp_path / "a", f"{quick_place}/b")
    assert copy_dataset(tmp_path / "a", f"{quick_place}/b").was_there
    with pytest.raises(ClaimError, match="has another dataset, of the digest"):
        copy_dataset(tmp_path / "a", f"{quick_place}/b", Part(max_rows=3))
    open_folder(f"{quick_place}/b").remove("labels/part-00000.arrayrecord")
    with pytest.raises(DatasetError, match=r"labels/part-00000\.arrayrecord: the file is missing"):
        copy_dataset(tmp_path / "a", f"{quick_place}/b")
    copy_dataset(tmp_path / "a", f"{quick_place}/c", Part(max_rows=3))
    assert copy_dataset(tmp_path / "a", f"{quick_place}/c", Part(max_rows=3)).was_there


def test_a_finished_copy_whose_failed_rows_are_embedded_again_is_left_alone(tmp_path):
    write(tmp_path / "a")
    copy_dataset(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b/_work").mkdir()
    (tmp_path / "b/_work/tower.json").write_text("{}")
    (tmp_path / "b/_work/job.json").write_text(json.dumps({"source": {}}))
    assert copy_dataset(tmp_path / "a", tmp_path / "b").was_there
    assert (tmp_path / "b/_work/job.json").exists()


def test_places_that_belong_to_others_are_refused(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/notes.txt").write_text("mine")
    with pytest.raises(ClaimError, match=r"contains files that do not belong to a copy \(notes\.txt\)"):
        copy_dataset(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c/_work").mkdir(parents=True)
    (tmp_path / "c/_work/job.json").write_text(json.dumps({"source": {}}))
    with pytest.raises(ClaimError, match="belongs to an embedding job"):
        copy_dataset(tmp_path / "a", tmp_path / "c")
    with pytest.raises(ClaimError, match="is within the dataset"):
        copy_dataset(tmp_path / "a", tmp_path / "a/inner")
    with pytest.raises(DatasetError, match="can only be read from"):
        copy_dataset(tmp_path / "a", "https://example.org/a")
    assert (tmp_path / "b/notes.txt").read_text() == "mine"


def test_an_unfinished_job_is_not_copied(tmp_path):
    (tmp_path / "a/_work").mkdir(parents=True)
    with pytest.raises(DatasetError, match="unfinished job"):
        copy_dataset(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_several_tables_of_embeddings_keep_their_cards(tmp_path):
    copied = copy_dataset(GOLDEN / "dataset_v3/base", tmp_path / "a", Part.parse(tables="captions")).manifest
    whole = Manifest.read(GOLDEN / "dataset_v3/base")
    assert list(copied.towers) == ["embeddings"]
    assert len(whole.towers) == 2
    assert copied.towers["embeddings"] == whole.towers["embeddings"]
    assert [probe.row for probe in copied.probes] == [probe.row for probe in whole.probes]


def test_of_a_file_that_has_grown_no_more_is_read_than_the_manifest_states(tmp_path, gcs_bucket):
    write(tmp_path / "a")
    copy_dataset(tmp_path / "a", f"{gcs_bucket}/a")
    folder, name = open_folder(f"{gcs_bucket}/a"), "labels/part-00000.arrayrecord"
    folder.write(name, folder.read(name) + bytes(1_000_000))
    copy_dataset(f"{gcs_bucket}/a", tmp_path / "b")
    assert files_of(tmp_path / "b") == files_of(tmp_path / "a")
