"""The manifest: its contents, and the errors for what is refused: where, rule, value."""

import base64
import pathlib
import re

import numpy as np
import pytest

from lit_precompute.schemas import DatasetError, DatasetWriter, EmbeddingDataset, Manifest, Note
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage.local_folder import LocalFolder
from lit_precompute.schemas.writing.publishing import add_up
from tests.schemas.making import SOURCE, TAGS, add_table, card, change_manifest, rows, write


def test_describes_the_dataset(tmp_path):
    manifest = write(tmp_path)
    assert manifest == Manifest.read(tmp_path)
    assert (manifest.num_rows, manifest.num_failures) == (50, 2)
    assert manifest.ledger.model_dump() == {"rows_read": 52, "rows_written": 50, "rows_failed": 2}
    assert [table.name for table in manifest.tables] == ["embeddings", "captions", "labels", "failures"]
    assert [shard.num_rows for shard in manifest.shards] == [20, 20, 10]


def test_a_tables_digest_is_of_its_schema_and_files_alone(tmp_path):
    before = write(tmp_path / "one")
    after = add_table(tmp_path / "one", TAGS, {"tags": [["a"]] * 50})
    assert verify(tmp_path / "one") == []
    assert before.digest != after.digest
    names = [table.name for table in before.tables]
    assert [table.name for table in after.tables] == [*names, "tags"]
    digests = [before.table_digest(name) for name in names]
    assert [after.table_digest(name) for name in names] == digests
    assert len({*digests, after.table_digest("tags")}) == 5
    # Equal rows in different shards are different files, and in a different type a different table.
    others = [write(tmp_path / "two", rows_per_shard=10), write(tmp_path / "three", vector_type="float32")]
    assert len({manifest.table_digest("embeddings") for manifest in (before, *others)}) == 3
    assert others[1].table_digest("captions") == before.table_digest("captions")
    with pytest.raises(DatasetError, match="unknown table 'tags'"):
        before.table_digest("tags")
    with pytest.raises(
        DatasetError, match=r"'embeddings', .*; `lit-data derive --text-embeddings-of` makes such a table"
    ):
        before.table("text-embeddings-minilm")


def test_probes_are_rows_of_the_dataset_spread_over_all_of_it(tmp_path):
    manifest = write(tmp_path, 200)
    keys, vectors, _, _ = rows(200)
    chosen = [probe.row for probe in manifest.probes]
    assert len(chosen) == 64
    # Over all three shards; no gap is more than twice an even one.
    assert max(np.diff([-1, *chosen, 200])) <= 2 * 200 / 64 and min(np.diff(chosen)) >= 1
    for probe in manifest.probes:
        assert probe.key == keys[probe.row]
        # As the tower gave them, not as float16.
        np.testing.assert_array_equal(
            np.frombuffer(base64.b64decode(probe.vectors["embeddings"]), "<f4"), vectors[probe.row]
        )


def test_the_same_rows_give_the_same_manifest(tmp_path):
    write(tmp_path / "one")
    write(tmp_path / "two")
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "two/manifest.json").read_bytes()


def test_notes_of_one_kind_are_added_up_with_the_most_frequent_kind_first():
    notes = [("few", 2, "a"), ("many", 1, "b"), ("many", 4, "c"), ("rare", 2, "d")]
    found = add_up(Note(what=what, count=count, first=first) for what, count, first in notes)
    assert [(note.what, note.count, note.first) for note in found] == [
        ("many", 5, "b"),
        ("few", 2, "a"),
        ("rare", 2, "d"),
    ]


def test_a_writer_notes_what_it_left_out(tmp_path):
    with DatasetWriter(tmp_path, tower=card(3), source=SOURCE) as writer:
        writer.write(keys=["a"], embeddings=np.ones((1, 3), np.float32))
        writer.note("text is not a string", first="a")
    assert verify(tmp_path) == []
    assert Manifest.read(tmp_path).notes == [Note(what="text is not a string", count=1, first="a")]


def test_a_dataset_without_rows_is_sound(tmp_path):
    write(tmp_path, 0, failures=0)
    with EmbeddingDataset.open(tmp_path) as dataset:
        assert (dataset.num_rows, dataset.num_blocks, list(dataset.blocks())) == (0, 0, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.update(format_version=4),
            "format_version is 4, this library reads up to 3; update lit-precompute",
        ),
        (lambda m: m.update(format_version=0), "format_version must be a number from 1 to 3, got 0"),
        (lambda m: m["probes"].reverse(), r"probes.row must ascend and be in \[0, 50\), got \[49, 48"),
        (lambda m: m["probes"][-1].update(row=50), r"probes.row must ascend and be in \[0, 50\)"),
        (lambda m: m.update(colour="red"), "colour: Extra inputs are not permitted, got 'red'"),
        (lambda m: m.update(format_version="3"), "format_version must be a number from 1 to 3, got '3'"),
        (
            lambda m: m["towers"]["embeddings"].update(width=3),
            "towers.embeddings.width: Extra inputs are not permitted, got 3",
        ),
        (lambda m: m.pop("source"), "source: Field required"),
        (
            lambda m: m.update(notes=[{"what": "x", "count": 0, "first": "k"}]),
            "notes.0.count: Input should be greater than or equal to 1, got 0",
        ),
        (lambda m: m["ledger"].update(rows_read=53), "the ledger must add up"),
        (lambda m: m["ledger"].update(rows_read=1 << 62), "ledger.rows_read: Input should be less than"),
        (lambda m: m["tables"][0]["columns"].reverse(), "the first column must be the string 'key'"),
        (
            lambda m: m["towers"]["embeddings"].update(output_width=7),
            r"table 'embeddings' must be aligned and have one vector column, 'embedding', of the tower's width 7,",
        ),
        (
            lambda m: m["tables"][0]["columns"][1].update(name="vector"),
            "table 'embeddings' must be aligned and have one vector column, 'embedding', .* got {'vector': 6}",
        ),
        (lambda m: m["tables"][0].update(aligned=False), "table 'embeddings' must be aligned"),
        (lambda m: m["tables"].reverse(), r"tables: the first must be 'embeddings', got \['failures', 'labels'"),
        (
            lambda m: m["towers"].update({"embeddings-2": m["towers"]["embeddings"]}),
            r"towers: must be one card for each of the tables \['embeddings'\], got \['embeddings', 'embeddings-2'\]",
        ),
        (lambda m: m["tables"][2].update(name="embeddings-2"), "one card for each of the tables .*'embeddings-2'"),
        (lambda m: m["tables"][2].update(name="captions"), "tables: names must differ, got"),
        (lambda m: m["tables"][2].update(name="attachments"), "other files of a dataset have this name"),
        (lambda m: m["tables"][2].update(reference=0), "tables.labels.reference must be one of 0 references, got 0"),
        (lambda m: m["probes"][0]["vectors"].clear(), r"row 0 must have vectors of \['embeddings'\], got \[\]"),
        (
            lambda m: m["attachments"].update({"../x": {"bytes": 1, "sha256": "0" * 64}}),
            "attachment '../x': a name may only have letters",
        ),
        (lambda m: m["lists"].pop("source"), "lists.source: Field required"),
        (lambda m: m["lists"]["shards"].update(sha256="../x"), "lists.shards.sha256: String should match"),
        (lambda m: m.update(block_rows=10**30), "block_rows: Input should be less than"),
    ],
)
def test_a_broken_rule_is_named(tmp_path, change, message):
    write(tmp_path)
    change_manifest(tmp_path, change)
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["tables"][0]["columns"].pop(),
            r"the scale columns must be \['embedding_scale'\], one for each int8 vector column, got \[\]",
        ),
        (
            lambda m: m["tables"][0]["columns"][1].update(vector_type="float16"),
            r"the scale columns must be \[\], .* got \['embedding_scale'\]",
        ),
        (
            lambda m: m["tables"][0]["columns"][2].update(width=1),
            "a vector column must have width and vector_type, and no other may; got type scale, width 1",
        ),
        (lambda m: m["tables"][0]["columns"][1].update(vector_type="int4"), "vector_type: Input should be"),
        (lambda m: m["tables"][0]["columns"][2].update(type="float32"), "type: Input should be"),
    ],
)
def test_a_broken_rule_of_int8_is_named(tmp_path, change, message):
    write(tmp_path, vector_type="int8")
    change_manifest(tmp_path, change)
    with pytest.raises(DatasetError, match=message):
        EmbeddingDataset.open(tmp_path)


@pytest.mark.parametrize("name", ["../x", "..", "", "/x", "a/b", "a\\b", "a\n", "_work", "Labels"])
def test_a_name_of_a_table_that_is_no_folder_here_is_refused(tmp_path, name):
    write(tmp_path)
    change_manifest(tmp_path, lambda m: m["tables"][2].update(name=name))
    with pytest.raises(DatasetError, match=rf"table '{re.escape(name)}': a name may only have lower-case letters"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("name", ["tokens-0f3a", "text-embeddings-e5.v2", "labels_2"])
def test_the_names_that_tables_have(tmp_path, name):
    table = TAGS.model_copy(update={"name": name})
    write(tmp_path)
    add_table(tmp_path, table, {"tags": [["a"]] * 50})
    assert verify(tmp_path) == []


@pytest.mark.parametrize("path", ["gs:/bucket/emb", pathlib.Path("s3://bucket/emb"), "C:/emb"])
def test_what_is_left_of_a_url_is_refused_in_words(path):
    with pytest.raises(DatasetError, match=rf"dataset {path}: (a URL has two slashes|must be a path of this machine)"):
        EmbeddingDataset.open(path)


def test_an_edited_manifest_is_refused(tmp_path):
    write(tmp_path)
    change_manifest(tmp_path, lambda m: m["towers"]["embeddings"].update(fingerprint="a" * 64), redigest=False)
    with pytest.raises(DatasetError, match=r"digest must be .*the file was changed after it was written"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not JSON"), ("[]", "must be a JSON object, got list"), ("\udcff", "not JSON"), ("[" * 100_000, "not JSON")],
)
def test_anything_but_a_json_object_is_refused(tmp_path, content, message):
    (tmp_path / "manifest.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=message):
        Manifest.read(tmp_path)


def test_no_manifest_says_what_the_directory_is(tmp_path):
    with pytest.raises(DatasetError, match="this is not an embedding dataset; check the path"):
        Manifest.read(tmp_path)
    with pytest.raises(DatasetError, match="there is no directory"):
        Manifest.read(tmp_path / "nowhere")
    (tmp_path / "_work").mkdir()
    with pytest.raises(DatasetError, match="this is an unfinished job; run its command again to resume"):
        Manifest.read(tmp_path)


def test_a_dataset_that_is_published_meanwhile_is_read(tmp_path, monkeypatch):
    write(tmp_path)
    (tmp_path / "_work").mkdir()
    (tmp_path / "manifest.json").rename(tmp_path / "later")
    read, num_reads = LocalFolder.read, 0

    def read_then_publish(folder, name):
        nonlocal num_reads
        num_reads += 1
        try:
            return read(folder, name)
        finally:
            if num_reads == 1:
                (tmp_path / "later").rename(tmp_path / "manifest.json")
                (tmp_path / "_work").rmdir()

    monkeypatch.setattr(LocalFolder, "read", read_then_publish)
    assert Manifest.read(tmp_path).num_rows == 50


def test_the_smallest_table_is_that_of_the_fewest_bytes(tmp_path):
    manifest = write(tmp_path)
    sizes = {
        name: sum(path.stat().st_size for path in (tmp_path / name).iterdir())
        for name in ("embeddings", "captions", "labels")
    }
    assert manifest.smallest_table == min(sizes, key=lambda name: sizes[name])
