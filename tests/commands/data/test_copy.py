"""lit-data copy: what it says, and its exit status."""

import re
import sys

import pytest

from lit_precompute.commands import data
from tests.schemas.making import files_of, write


@pytest.fixture
def lit_data(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            data.main()
        out, err = capsys.readouterr()
        return caught.value.code, out + err

    return run


def test_says_what_is_there_and_how_fast_it_came(lit_data, tmp_path):
    digest = write(tmp_path / "a").digest
    status, said = lit_data("copy", tmp_path / "a", tmp_path / "b")
    assert status == 0
    assert "0/10 files  0.0/1.2 MB" in said
    assert "10/10 files  1.2/1.2 MB  " in said
    assert " MB/s  0 s left" in said
    assert re.search(rf"b: 50 rows in 3 shards, 1\.2 MB; 1\.2 MB copied in \d.*, digest {digest}\n", said)
    status, said = lit_data("copy", tmp_path / "a", tmp_path / "b")
    assert (status, said.splitlines()[0]) == (
        0,
        f"{tmp_path}/b: has this dataset already, with all of its files; 50 rows in 3 shards, 1.2 MB",
    )


def test_copies_a_part(lit_data, tmp_path):
    write(tmp_path / "a")
    status, said = lit_data(
        "copy", tmp_path / "a", tmp_path / "b", "--tables", "labels", "--shards", "1-2", "--rows", "5"
    )
    assert status == 0
    assert "b: 5 rows in 1 shard, " in said
    assert sorted(path.name for path in (tmp_path / "b").iterdir() if path.is_dir()) == ["embeddings", "labels"]


def test_the_destination_may_be_given_as_output(lit_data, tmp_path):
    write(tmp_path / "a")
    assert lit_data("copy", tmp_path / "a", "--output", tmp_path / "b")[0] == 0
    assert files_of(tmp_path / "b") == files_of(tmp_path / "a")
    status, said = lit_data("copy", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "c")
    assert (status, "b and --output " in said, " give one, a directory, or a URL" in said) == (2, True, True)
    status, said = lit_data("copy", tmp_path / "a")
    assert (status, said.startswith("error: --output is missing: a directory, or a URL of a store")) == (2, True)


def test_copies_a_selection(lit_data, tmp_path):
    write(tmp_path / "a")
    assert lit_data("select", tmp_path / "a", "--output", tmp_path / "some.selection", "--label", "3")[0] == 0
    status, said = lit_data("copy", tmp_path / "a", tmp_path / "b", "--selection", tmp_path / "some.selection")
    assert status == 0
    assert "b: 12 rows in 3 shards, " in said


def test_another_copy_into_the_place_is_refused_and_changes_nothing(lit_data, tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", 30)
    before = files_of(tmp_path / "b")
    status, said = lit_data("copy", tmp_path / "a", tmp_path / "b")
    assert (status, said.startswith(f"error: {tmp_path}/b: has another dataset, of the digest ")) == (2, True)
    assert files_of(tmp_path / "b") == before
