"""`--json`: every command of lit-data has it, and prints nothing else to standard output."""

import json
import sys

import pytest

from lit_precompute.commands import data
from lit_precompute.schemas import Manifest
from tests.schemas.making import write

_COMMANDS = (
    ["info"],
    ["verify"],
    ["list"],
    ["compare"],
    ["probe"],
    ["copy"],
    ["repair"],
    ["publish"],
    ["derive"],
    ["flatten"],
    ["select"],
    ["deduplicate"],
    ["shuffle"],
    ["import", "npy"],
    ["export", "npy"],
)


@pytest.fixture
def lit_data(capsys, monkeypatch):
    """Returns a function that runs a command; it returns the status and what was printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            data.main()
        return caught.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def place(tmp_path):
    write(tmp_path / "d")
    (tmp_path / "t.tsv").write_text("key\ttext\n" + "".join(f"image-{row:04d}\ttext {row}\n" for row in range(50)))
    return tmp_path


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_every_command_has_it(lit_data, command):
    status, printed = lit_data(*command, "--help")
    assert (status, "--json" in printed) == (0, True)


def test_what_was_written_is_described_alike(lit_data, place):
    commands = {
        "copied": ("copy", place / "d"),
        "derived": ("derive", place / "d", "--captions", place / "t.tsv"),
        "flat": ("flatten", place / "derived"),
    }
    for output, command in commands.items():
        status, printed = lit_data(*command, "--output", place / output, "--json")
        found = json.loads(printed)
        manifest = Manifest.read(place / output)
        assert status == 0
        assert (found["dataset"], found["digest"]) == (str(place / output), manifest.digest)
        assert (found["num_rows"], found["num_shards"], found["was_there"]) == (50, 3, False)
        assert found["num_bytes"] == sum(manifest.shards.table_bytes(table.name) for table in manifest.tables)
    status, printed = lit_data("copy", place / "d", place / "copied", "--json")
    assert (status, json.loads(printed)["was_there"], json.loads(printed)["num_bytes_copied"]) == (0, True, 0)


def test_what_was_matched(lit_data, place):
    with (place / "t.tsv").open("a") as file:
        file.write("other\tof no image\n")
    options = ("--captions", place / "t.tsv", "--max-surplus", 1, "--output", place / "derived", "--json")
    found = json.loads(lit_data("derive", place / "d", *options)[1])
    assert found["matches"]["captions"] == {
        "num_rows": 51,
        "num_matched": 50,
        "num_missing": 0,
        "num_surplus": 1,
        "num_failed": 0,
    }
    assert (found["tables"], [each["path"] for each in found["references"]]) == (["captions"], ["../d"])


def test_faults_and_what_was_mended(lit_data, place):
    assert lit_data("copy", place / "d", place / "sound")[0] == 0
    (place / "d/captions/part-00001.arrayrecord").unlink()
    status, printed = lit_data("verify", place / "d", "--json")
    (fault,) = json.loads(printed)["faults"]
    assert status == 1
    assert fault["message"].startswith(f"{place}/d/captions/part-00001.arrayrecord: the file is missing")
    assert fault["remedy"] == f"lit-data repair {place}/d --from COPY"
    status, printed = lit_data("repair", place / "d", "--from", place / "sound", "--json")
    mended = {"dataset": f"{place}/d", "mended": ["captions/part-00001.arrayrecord"], "left": []}
    assert (status, json.loads(printed)) == (0, mended)
    assert lit_data("verify", place / "d", "--json") == (0, f'{{\n "dataset": "{place}/d",\n "faults": []\n}}\n')


def test_exports_imports_and_what_would_be_published(lit_data, place):
    found = json.loads(lit_data("export", "npy", place / "d", "--output", place / "npy", "--json")[1])
    assert (found["output"], found["num_rows"], found["left_out"]) == (f"{place}/npy", 50, ["captions", "labels"])
    command = ("import", "npy", place / "npy/embeddings.npy", "--keys", place / "npy/keys.txt", "--tower", "t")
    found = json.loads(lit_data(*command, "--output", place / "imported", "--json")[1])
    assert (found["dataset"], found["num_rows"], found["ledger"]["rows_failed"]) == (f"{place}/imported", 50, 0)
    command = ("publish", place / "d", "hf://datasets/me/d", "--dry-run", "--folder", place / "folder", "--json")
    found = json.loads(lit_data(*command)[1])
    assert (found["repository"], found["commit"]) == ("hf://datasets/me/d", None)
    assert found["num_files"] > 10


def test_the_seed_of_a_shuffled_dataset(lit_data, place):
    found = json.loads(lit_data("shuffle", place / "d", "--output", place / "shuffled", "--seed", 3, "--json")[1])
    assert (found["dataset"], found["num_rows"], found["seed"]) == (f"{place}/shuffled", 50, 3)
