"""lit-data compare: what it says, and its exit status."""

import json
import sys

import pytest

from lit_precompute.commands import data
from tests.schemas.making import card
from tests.schemas.sharing.test_comparing import KEYS, VECTORS, write_embeddings


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_embeddings(tmp_path_factory.mktemp("base"))


def _run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["lit-data", "compare", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "250")
    with pytest.raises(SystemExit) as caught:
        data.main()
    said = capsys.readouterr()
    return caught.value.code, [" ".join(line.split()) for line in (said.out or said.err).splitlines()]


def test_equal_embeddings(monkeypatch, capsys, base):
    status, lines = _run(monkeypatch, capsys, base, base)
    assert status == 0
    assert lines[0] == "rows 200 and 200; 200 keys in both"
    assert lines[-1] == "verdict the embeddings of common rows are equal"


def test_equal_fingerprints_of_different_embeddings_are_reported(monkeypatch, capsys, base, tmp_path):
    status, lines = _run(monkeypatch, capsys, base, write_embeddings(tmp_path / "other", vectors=VECTORS[::-1].copy()))
    assert status == 1
    assert lines[-1].startswith(
        "verdict different: a cosine is below 0.999. The fingerprints are equal, so a card is wrong"
    )


def test_what_differs_between_the_cards(monkeypatch, capsys, base, tmp_path):
    other = card(fingerprint="e" * 64).model_copy(update={"preprocessing": {"size": 9}})
    status, lines = _run(monkeypatch, capsys, base, write_embeddings(tmp_path / "other", tower=other))
    assert status == 0
    assert "size 8 and 9" in lines
    assert lines[-1].endswith("equal. The fingerprints differ all the same: see what differs above")


def test_no_common_keys(monkeypatch, capsys, base, tmp_path):
    other = write_embeddings(tmp_path / "other", [f"other/{key}" for key in KEYS])
    status, lines = _run(monkeypatch, capsys, base, other)
    assert status == 1
    assert lines[-1] == (
        f"verdict not comparable: no common keys; the first dataset's are like '{KEYS[0]}', the second's like "
        f"'other/{KEYS[0]}', which differs in folder"
    )


def test_a_file_is_not_a_dataset(monkeypatch, capsys, base, tmp_path):
    (tmp_path / "captions.tsv").write_text("key\ttext\n")
    status, lines = _run(monkeypatch, capsys, base, tmp_path / "captions.tsv")
    assert status == 2
    assert lines[0].startswith(f"error: {tmp_path}/captions.tsv: is a file, not a dataset; a dataset is a directory")


def test_what_a_declared_card_does_not_say_is_unknown(monkeypatch, capsys, base, tmp_path):
    other = card(fingerprint="e" * 64).model_copy(update={"preprocessing": {}})
    _, lines = _run(monkeypatch, capsys, base, write_embeddings(tmp_path / "other", tower=other))
    assert "size 8 and unknown" in lines


def test_json(monkeypatch, capsys, base):
    monkeypatch.setattr(sys, "argv", ["lit-data", "compare", str(base), str(base), "--json", "--max-rows=70"])
    with pytest.raises(SystemExit):
        data.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["num_common"], found["similarity"]["num_rows"]) == ("equal", 200, 64)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--max-rows=0"], "--max-rows must be >= 1, got 0"),
        (["--table=failures"], "has no table of embeddings 'failures'"),
        (["--other-table=embeddings-flip"], "has no table of embeddings 'embeddings-flip'; it has embeddings"),
    ],
)
def test_wrong_input(monkeypatch, capsys, base, more, words):
    status, lines = _run(monkeypatch, capsys, base, base, *more)
    assert status == 2
    assert words in " ".join(lines)
