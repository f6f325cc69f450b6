"""Deriving with texts and labels of files: each row gets the texts of its very key, whatever file, order and size."""

import csv
import gzip
import json
import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.precompute.deriving import derivation
from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
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
from tests.schemas.making import SOURCE, card, change_manifest, files_of, rows, write

NUM_ROWS = 50
TEXTS = {key: f"texte {number}, « zéro »" for number, key in enumerate(rows(NUM_ROWS)[0])}


@pytest.fixture
def base(tmp_path):
    write(tmp_path / "base", NUM_ROWS)
    return tmp_path / "base"


def shuffled(seed=0):
    """Returns (key, text) of all rows in another order than the dataset's."""
    pairs = list(TEXTS.items())
    random.Random(seed).shuffle(pairs)
    return pairs


def write_tsv(path, pairs=None, header="key\ttext"):
    path.write_text("\n".join([header, *("\t".join(pair) for pair in (shuffled() if pairs is None else pairs))]) + "\n")
    return path


def write_file(path, pairs):
    """Writes a file of keys and texts as its name says."""
    if path.suffix == ".parquet":
        keys, texts = zip(*pairs, strict=True)
        pq.write_table(pa.table({"key": keys, "text": texts}), path, row_group_size=7)
        return
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w", newline="") as file:
        if ".jsonl" in path.name:
            file.writelines(json.dumps({"key": key, "text": text}) + "\n" for key, text in pairs)
        else:
            csv.writer(file).writerows([("key", "text"), *pairs])


def run(base, output, captions=None, **options):
    path = None if captions is None else str(captions)
    return derive(DeriveOptions(base=str(base), output=str(output), captions=path, **options))


def read(path, *columns):
    """Returns the columns of a dataset by key."""
    with EmbeddingDataset.open(path) as dataset:
        found = dataset.rows(0, dataset.num_rows, ["key", *columns]).to_rows()
    return {row["key"]: row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns) for row in found}


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.parquet"])
def test_texts_are_found_by_key_in_any_order_of_every_format(tmp_path, base, name):
    write_file(tmp_path / name, shuffled())
    before = files_of(base)
    derived = run(base, tmp_path / "derived", tmp_path / name)
    assert read(tmp_path / "derived", "texts") == {key: [text] for key, text in TEXTS.items()}
    assert verify(tmp_path / "derived") == []
    assert files_of(base) == before
    assert derived.matches["captions"].counts() == {
        "num_rows": 50,
        "num_matched": 50,
        "num_missing": 0,
        "num_surplus": 0,
        "num_failed": 0,
    }
    assert {name.split("/")[0] for name in files_of(tmp_path / "derived") if "/" in name} == {"captions"}


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


def test_paths_are_keys_where_there_is_no_column_of_keys(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv", header="path\ttext"))
    assert read(tmp_path / "derived", "texts") == {key: [text] for key, text in TEXTS.items()}


def test_columns_have_the_names_that_the_user_gives(tmp_path, base):
    write_tsv(tmp_path / "t.tsv", header="id\tgerman")
    columns = SourceColumns(key="id", text="german")
    run(base, tmp_path / "flags", tmp_path / "t.tsv", columns=columns)
    run(base, tmp_path / "string", f"{tmp_path}/t.tsv?key=id&text=german")
    assert read(tmp_path / "flags", "texts") == {key: [text] for key, text in TEXTS.items()}
    assert files_of(tmp_path / "flags") == files_of(tmp_path / "string")


def test_one_text_a_line_is_gathered_from_anywhere_in_the_file(tmp_path, base):
    """The texts of a row are in the file's order, each with its language; a title that repeats is one."""
    lines = [(key, f"{language} {key}", language, key.upper()) for language in ("en", "fr") for key, _ in shuffled()]
    write_tsv(tmp_path / "t.tsv", lines, header="key\ttext\tlang\ttitle")
    options = {"gather": True, "language_column": "lang", "columns": SourceColumns(named=("title=title",))}
    run(base, tmp_path / "derived", tmp_path / "t.tsv", **options)
    assert read(tmp_path / "derived", "texts", "language", "title") == {
        key: ([f"en {key}", f"fr {key}"], ["en", "fr"], [key.upper()]) for key in TEXTS
    }


def test_the_bases_texts_may_stay_before_the_files(tmp_path, base):
    """Texts of the base have no language; those of a second derivation keep the first one's."""
    before = read(base, "texts")
    lines = [(key, f"{number} {key}", "fr") for number in range(2) for key, _ in shuffled()]
    write_tsv(tmp_path / "t.tsv", lines, header="key\ttext\tlang")
    options = {"gather": True, "keep_texts": True}
    run(base, tmp_path / "one", tmp_path / "t.tsv", language_column="lang", **options)
    added = {key: [f"0 {key}", f"1 {key}"] for key in TEXTS}
    assert read(tmp_path / "one", "texts", "language") == {
        key: (before[key] + added[key], [""] * len(before[key]) + ["fr", "fr"]) for key in TEXTS
    }
    run(tmp_path / "one", tmp_path / "two", write_tsv(tmp_path / "u.tsv"), keep_texts=True)
    assert read(tmp_path / "two", "texts", "language")["image-0004"] == (
        [*before["image-0004"], *added["image-0004"], TEXTS["image-0004"]],
        [*[""] * len(before["image-0004"]), "fr", "fr", ""],
    )
    assert verify(tmp_path / "two") == []


def test_several_texts_a_row_share_a_language_or_have_one_each(tmp_path, base):
    lines = [json.dumps({"key": key, "texts": ["a", "b"], "lang": "de"}) for key, _ in shuffled()]
    lines[0] = json.dumps({"key": "image-0007", "texts": ["a", "b"], "lang": ["de", "fr"]})
    kept = [line for number, line in enumerate(lines) if number == 0 or "image-0007" not in line]
    (tmp_path / "t.jsonl").write_text("\n".join(kept))
    run(base, tmp_path / "derived", tmp_path / "t.jsonl", language_column="lang", max_missing="1")
    found = read(tmp_path / "derived", "language")
    assert found["image-0007"] == ["de", "fr"]
    assert found["image-0008"] == ["de", "de"]


def test_labels_and_captions_come_from_one_command(tmp_path, base):
    write_tsv(tmp_path / "t.tsv", [(key, "text", f"class {key[-1]}") for key, _ in shuffled()], "key\ttext\tlabel")
    run(base, tmp_path / "derived", tmp_path / "t.tsv", labels=str(tmp_path / "t.tsv"))
    assert read(tmp_path / "derived", "label") == {key: f"class {key[-1]}" for key in TEXTS}
    assert verify(tmp_path / "derived") == []


def test_a_repeated_key_is_refused_with_both_places(tmp_path, base):
    write_tsv(tmp_path / "t.tsv", [*TEXTS.items(), ("image-0003", "again")])
    with pytest.raises(
        SourceError, match=r"t.tsv, line 52: keys must be unique, 'image-0003' was first seen at .*line 5"
    ):
        run(base, tmp_path / "derived", tmp_path / "t.tsv")
    assert not (tmp_path / "derived").exists()


def test_missing_keys_are_refused_beyond_what_is_allowed_and_get_no_text(tmp_path, base):
    write_tsv(tmp_path / "t.tsv", list(TEXTS.items())[2:])
    with pytest.raises(SourceError, match=r"2 rows of the dataset's 50 are not in it.*0: image-0000, image-0001; c"):
        run(base, tmp_path / "derived", tmp_path / "t.tsv")
    run(base, tmp_path / "derived", tmp_path / "t.tsv", max_missing="4%", unmatched=str(tmp_path / "unmatched.tsv"))
    assert read(tmp_path / "derived", "texts")["image-0001"] == []
    assert (tmp_path / "unmatched.tsv").read_text() == (
        "captions\tmissing\timage-0000\t\ncaptions\tmissing\timage-0001\t\n"
    )


def test_surplus_keys_are_refused_beyond_what_is_allowed_but_not_those_of_failed_images(tmp_path, base):
    pairs = [*TEXTS.items(), ("bad-0", "of an image that could not be embedded")]
    assert run(base, tmp_path / "one", write_tsv(tmp_path / "one.tsv", pairs)).matches["captions"].num_failed == 1
    write_tsv(tmp_path / "two.tsv", [*pairs, ("other", "text")])
    with pytest.raises(SourceError, match=r"1 key of 51 are not the dataset's.*0: other \(.*two.tsv, line 53\)"):
        run(base, tmp_path / "two", tmp_path / "two.tsv")
    run(base, tmp_path / "two", tmp_path / "two.tsv", max_surplus="1")
    assert read(tmp_path / "two", "texts") == read(tmp_path / "one", "texts")


def test_a_file_of_another_dataset_shows_how_its_keys_differ(tmp_path, base):
    write_tsv(tmp_path / "t.tsv", [(f"{key}.jpg", text) for key, text in TEXTS.items()])
    with pytest.raises(SourceError, match=r"no key is in both, the file's are like image-0000.jpg"):
        run(base, tmp_path / "derived", tmp_path / "t.tsv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("key\ttext\na\tb\tc\n", "t.tsv, line 2: the header has 2 fields, this row 3"),
        ("name\ttext\n", "t.tsv, line 1: no column 'key'; there are .*'name', 'text'.*--key-column"),
        ("key\tcaption\nimage-0000\ta\n", "t.tsv, line 1: no 'text'; there are .*'caption'.*--text-column"),
        ("key\ttext\n\ta\n", "t.tsv, line 2: column 'key' is empty"),
        ("key\ttext\n", "t.tsv: no rows"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_its_line(tmp_path, base, content, message):
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(SourceError, match=message):
        run(base, tmp_path / "derived", tmp_path / "t.tsv")
    assert not (tmp_path / "derived").exists()


def test_a_source_of_another_kind_is_refused(tmp_path, base):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"images: only a .csv, .tsv or .jsonl table, .* is read by key"):
        run(base, tmp_path / "derived", tmp_path / "images")


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


def test_the_output_belongs_to_one_derivation(tmp_path, base):
    run(base, tmp_path / "derived", write_tsv(tmp_path / "t.tsv"))
    write_tsv(tmp_path / "t.tsv", shuffled(seed=1))  # the same texts, in another order
    with pytest.raises(ClaimError, match=r"belongs to another derivation: --captions files.0.sha256 is .* there"):
        run(base, tmp_path / "derived", tmp_path / "t.tsv")
    with pytest.raises(DatasetError, match="contains a finished dataset"):
        run(base, base, tmp_path / "t.tsv")
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
    wanted = f"derived refers to the dataset of digest {digest} at {base}"
    with pytest.raises(DatasetError, match=f"{wanted}, got the digest {Manifest.read(base).digest}: it is another dat"):
        EmbeddingDataset.open(tmp_path / "derived")
    shutil.rmtree(base)
    with pytest.raises(DatasetError, match=f"{wanted}, which cannot be opened: .*; put that dataset back there, or"):
        EmbeddingDataset.open(tmp_path / "derived")
    assert any(wanted in fault for fault in verify(tmp_path / "derived"))


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
