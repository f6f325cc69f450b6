"""lit-data list: lines for people, JSON for programs."""

import json
import sys

import pytest

from lit_precompute.commands import data
from tests.schemas.making import write


@pytest.fixture
def lit_data(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            data.main()
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def place(tmp_path):
    write(tmp_path / "p/sound")
    (tmp_path / "p/damaged").mkdir()
    (tmp_path / "p/damaged/manifest.json").write_text("{")
    (tmp_path / "p/begun/_work").mkdir(parents=True)
    return tmp_path / "p"


def test_lists_what_is_there(lit_data, place):
    status, out, _ = lit_data("list", place)
    assert status == 0
    words = [line.split() for line in out.splitlines()]
    assert words[0] == ["dataset", "rows", "MB", "order", "tower", "tables", "source", "state"]
    assert "unfinished: an unfinished job" in " ".join(words[1])
    assert words[-2] == [
        *("sound", "50", "1.2", "source", "test-tower"),
        *("embeddings,", "captions,", "labels,", "failures", "captions.tsv", "complete"),
    ]
    assert out.splitlines()[-1] == f"{place}: 3 datasets in 4 folders"
    status, out, _ = lit_data("list", place, "--tower", "other")
    assert out.splitlines()[-1] == f"{place}: 1 dataset of 3 in 4 folders"  # the damaged one may be of that tower
    status, out, _ = lit_data("list", place, "--depth", "0")
    assert (
        out.splitlines()[-1]
        == f"{place}: 0 datasets in 1 folder; 3 folders deeper than 0 not looked into: give --depth"
    )


def test_json(lit_data, place):
    status, out, _ = lit_data("list", place, "--json")
    assert status == 0
    found = {entry["path"].rpartition("/")[2]: entry for entry in json.loads(out)}
    assert {name: entry["state"] for name, entry in found.items()} == {
        "begun": "unfinished",
        "damaged": "unreadable",
        "sound": "complete",
    }
    assert found["sound"]["num_bytes"] == sum(found["sound"]["tables"].values()) == 1180560
    assert "not JSON" in found["damaged"]["reason"]
