"""A derivation as a whole: what it refers to, where it may be, and that it can be stopped at any moment."""

import shutil

import numpy as np
import pytest

from lit_precompute.precompute.deriving import derivation
from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import (
    DatasetError,
    EmbeddingDataset,
    Manifest,
    ShardWriter,
    embeddings_table,
    failures_table,
    publish_manifest,
)
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.claims import ClaimError
from lit_precompute.schemas.sharing.copying import copy_dataset
from lit_precompute.schemas.sharing.part import Part
from tests.flaky_server import flaky_server
from tests.golden.dataset_v2 import make as version_2
from tests.precompute.deriving.making import NUM_ROWS, TEXTS, read, run, shuffled, write_tsv
from tests.schemas.making import SOURCE, card, change_manifest, files_of, rows, write


def test_the_other_tables_are_the_bases(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    one, two = Manifest.read(base), Manifest.read(tmp_path / "derived")
    for table in ("embeddings", "labels", "failures"):
        assert two.table_digest(table) == one.table_digest(table)
    assert [table.name for table in two.tables] == [table.name for table in one.tables]
    assert (two.towers, two.probes, two.ledger, two.source.info()) == (
        one.towers,
        one.probes,
        one.ledger,
        one.source.info(),
    )
    assert two.references[0].digest == one.digest
    assert two.job["derive"]["tables"]["captions"]["files"][0]["bytes"] == (tmp_path / "t.tsv").stat().st_size
    with EmbeddingDataset.open(tmp_path / "derived") as dataset:
        np.testing.assert_array_equal(dataset.rows(0, 50)["embedding"], rows(50)[1].astype(np.float16))


def test_the_result_does_not_depend_on_how_much_is_matched_at_a_time(tmp_path, base, monkeypatch):
    write_tsv(tmp_path / "t.tsv")
    run(base, tmp_path / "whole", tmp_path / "t.tsv")
    monkeypatch.setattr(derivation, "_PART_BYTES", 1000)
    run(base, tmp_path / "parts", tmp_path / "t.tsv")
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("place", ["reading captions", "reading keys", "matching captions by key", "writing shards"])
def test_the_same_command_after_an_interruption_gives_the_same_bytes(tmp_path, base, place):
    options = DeriveOptions(
        base=str(base), output=str(tmp_path / "derived"), captions=str(write_tsv(tmp_path / "t.tsv"))
    )

    def interrupt(what, done, total):
        if what.startswith(place):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derive(options, interrupt)
    assert not (tmp_path / "derived/manifest.json").exists()
    derive(options)
    run(base, tmp_path / "other", tmp_path / "t.tsv")
    assert files_of(tmp_path / "derived") == files_of(tmp_path / "other")
    assert derive(options).was_there
    assert verify(tmp_path / "derived") == []


def test_what_a_kill_left_of_a_list_is_removed(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    whole = files_of(tmp_path / "derived")
    (tmp_path / f"derived/.source-0123456789abcdef.arrow.{'0' * 32}").write_bytes(b"half")
    run(base, tmp_path / "derived", tmp_path / "t.tsv")
    assert files_of(tmp_path / "derived") == whole


def test_the_output_belongs_to_one_derivation(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    write_tsv(tmp_path / "t.tsv", shuffled(seed=1))  # the same texts, in another order
    with pytest.raises(
        ClaimError, match=r"in another way: its captions are of .*/t.tsv as it was before it was changed\. "
    ):
        run(base, tmp_path / "derived", tmp_path / "t.tsv")
    with pytest.raises(DatasetError, match="contains a finished dataset"):
        run(base, base, tmp_path / "t.tsv")
    with pytest.raises(DatasetError, match=r"base/derived: is within the dataset"):
        run(base, base / "derived", tmp_path / "t.tsv")
    with pytest.raises(ClaimError, match=r"t.tsv is a file; choose another --output"):
        run(base, tmp_path / "t.tsv/derived", tmp_path / "t.tsv")
    with pytest.raises(ClaimError, match=r"contains files that do not belong to a derivation"):
        run(base, tmp_path, tmp_path / "t.tsv")


def test_a_second_process_is_refused_while_one_derives(tmp_path, base):
    options = DeriveOptions(
        base=str(base), output=str(tmp_path / "derived"), captions=str(write_tsv(tmp_path / "t.tsv"))
    )
    refused = []

    def again(what, done, total):
        if what == "writing shards" and not refused:
            with pytest.raises(DatasetError, match="another process is deriving this dataset") as error:
                derive(options)
            refused.append(error)

    derive(options, again)
    assert refused and verify(tmp_path / "derived") == []


def test_a_derived_base_is_referred_to_where_its_files_are(tmp_path, base):
    run(base, tmp_path / "one", write_tsv(tmp_path / "t.tsv"))
    labels = write_tsv(tmp_path / "l.tsv", [(key, "cat") for key in TEXTS], "key\tlabel")
    run(tmp_path / "one", tmp_path / "elsewhere/two", labels=str(labels))
    manifest = Manifest.read(tmp_path / "elsewhere/two")
    assert {table.name: table.reference for table in manifest.tables} == {
        "embeddings": 0,
        "captions": 1,
        "labels": None,
        "failures": 0,
    }
    assert [reference.path for reference in manifest.references] == [str(base), str(tmp_path / "one")]
    assert verify(tmp_path / "elsewhere/two") == []
    assert read(tmp_path / "elsewhere/two", "texts", "label")["image-0004"] == ([TEXTS["image-0004"]], "cat")


def test_datasets_in_one_folder_are_moved_together(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    (tmp_path / "moved").mkdir()
    for name in ("base", "derived"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    assert verify(tmp_path / "moved/derived") == []


def test_base_and_output_may_be_in_stores(tmp_path, bucket):
    write(f"{bucket}/base", NUM_ROWS)
    run(f"{bucket}/base", f"{bucket}/derived", write_tsv(tmp_path / "t.tsv"))
    run(f"{bucket}/base", tmp_path / "here", tmp_path / "t.tsv")
    for derived in (f"{bucket}/derived", tmp_path / "here"):
        assert read(derived, "texts") == {key: [text] for key, text in TEXTS.items()}
        assert verify(derived) == []
    assert Manifest.read(f"{bucket}/derived").references[0].path == "../base"
    assert Manifest.read(tmp_path / "here").references[0].path == f"{bucket}/base"


@pytest.mark.parametrize("version", ["dataset_v1/float16", "dataset_v2/int8"])
def test_the_base_may_be_of_an_earlier_version(tmp_path, version):
    shutil.copytree(f"tests/golden/{version}", tmp_path / "base")
    keys = list(read(tmp_path / "base", "texts"))
    run(tmp_path / "base", tmp_path / "derived", write_tsv(tmp_path / "t.tsv", [(key, f"of {key}") for key in keys]))
    assert read(tmp_path / "derived", "texts") == {key: [f"of {key}"] for key in keys}
    assert verify(tmp_path / "derived") == []
    assert len(version_2.INT8) == len(keys)


def test_shards_without_rows_stay_without(tmp_path):
    """As where every image of a work unit has failed, here the last."""
    tables = [embeddings_table(2, "float16"), failures_table()]
    shards = []
    for number, keys in enumerate([["a", "b"], [], ["c"], []]):
        with ShardWriter(tmp_path / "base", shard=number, tables=tables) as writer:
            writer.append("embeddings", {"key": keys, "embedding": np.ones((len(keys), 2))})
            failure = {"key": [f"bad-{number}"], "source": [""], "reason": ["missing"], "message": [""]}
            writer.append("failures", failure)
            shards.append(writer.finish())
    publish_manifest(tmp_path / "base", shards=shards, tables=tables, towers={"embeddings": card(2)}, source=SOURCE)
    write_tsv(tmp_path / "t.tsv", [("c", "see"), ("a", "ay"), ("b", "bee"), ("bad-3", "none")])
    run(tmp_path / "base", tmp_path / "derived", tmp_path / "t.tsv")
    assert read(tmp_path / "derived", "texts") == {"a": ["ay"], "b": ["bee"], "c": ["see"]}
    assert verify(tmp_path / "derived") == []


def test_a_base_that_changed_or_vanished_is_named(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    digest = Manifest.read(base).digest
    change_manifest(base, lambda content: content.update(order="shuffled"))
    wanted = f"derived: refers to the dataset at {base}"
    other = Manifest.read(base).digest
    with pytest.raises(DatasetError, match=f"{wanted} with the digest {digest}, got {other}: it is another dataset"):
        EmbeddingDataset.open(tmp_path / "derived")
    shutil.rmtree(base)
    with pytest.raises(DatasetError, match=f"{wanted}, which is not there; put that dataset back there, or"):
        EmbeddingDataset.open(tmp_path / "derived")
    assert verify(tmp_path / "derived") == [f"{tmp_path}/{wanted}, which is not there"]  # once, of several tables


def test_a_file_of_the_base_that_vanishes_later_is_named_when_it_is_read(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    with EmbeddingDataset.open(tmp_path / "derived") as dataset:
        shutil.rmtree(base)
        with pytest.raises(DatasetError, match=f"{base}"):
            dataset.row(0)


def test_the_base_may_be_on_a_web_server_which_lists_nothing(tmp_path, base):
    write_tsv(tmp_path / "t.tsv")
    with flaky_server() as server:
        server.contents = {f"/base/{name}": data for name, data in files_of(base).items()}
        run(f"{server.address}/base", tmp_path / "out/derived", tmp_path / "t.tsv")
        assert read(tmp_path / "out/derived", "texts") == {key: [text] for key, text in TEXTS.items()}
        assert Manifest.read(tmp_path / "out/derived").references[0].path == f"{server.address}/base"
        assert verify(tmp_path / "out/derived") == []
        copy_dataset(tmp_path / "out/derived", tmp_path / "flat", Part(is_flat=True))
    assert verify(tmp_path / "flat") == []


def test_two_machines_that_derive_the_same_into_a_store_do_no_harm(tmp_path, base):
    """Here the second begins and ends while the first writes its shards."""
    output = f"memory://derived-{tmp_path.name}-{id(base)}"
    options = DeriveOptions(base=str(base), output=output, captions=str(write_tsv(tmp_path / "t.tsv")))
    others = []

    def again(what, done, total):
        if what == "writing shards" and not others:
            others.append(derive(options))

    assert derive(options, again).manifest == others[0].manifest
    assert verify(output) == []
