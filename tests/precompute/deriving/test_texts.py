"""Deriving with texts and labels of files: each row gets the texts of its very key, whatever file and order."""

import json

import pytest

from lit_precompute.precompute.sources.source import SourceError
from lit_precompute.precompute.sources.spec import SourceColumns
from lit_precompute.schemas.checking.verification import verify
from tests.precompute.deriving.making import TEXTS, read, run, shuffled, write_file, write_tsv
from tests.schemas.making import files_of


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
    with pytest.raises(SourceError, match=r"no key is in both: .*'image-0000.jpg', which differs in ending"):
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
