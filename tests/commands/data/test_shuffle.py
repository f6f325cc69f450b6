"""lit-data shuffle: the command around `shuffle`."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from lit_precompute.commands import data
from lit_precompute.schemas.checking.verification import verify
from tests.pipelines.shuffle.making import write_dataset
from tests.schemas.making import files_of

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Returns a function that runs the command; it returns the status, the output and the messages."""
    write_dataset(tmp_path / "dataset")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", "shuffle", *arguments])
        with pytest.raises(SystemExit) as caught:
            data.main()
        return caught.value.code, *capsys.readouterr()

    return run


def test_prints_what_was_written(run, tmp_path):
    status, printed, said = run("dataset", "--output", "shuffled", "--seed", "3", "--rows-per-shard", "30")
    assert status == 0
    assert "75/75 rows read" in said
    assert "75/75 rows written" in said
    assert "shuffled: 75 rows in 3 shards, in the order of seed 3" in printed
    assert verify(tmp_path / "shuffled") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dataset", "--output", "dataset"), "contains a finished dataset, and datasets never change"),
        (("dataset", "--output", "x", "--seed", "-1"), "--seed must be >= 0, got -1"),
        (("nowhere", "--output", "x"), "there is no directory"),
        (("dataset", "--output", "x", "--sede=1"), "unknown options --sede=1"),
    ],
)
def test_wrong_input_is_a_sentence_and_status_two(run, tmp_path, arguments, message):
    status, _, said = run(*arguments)
    assert status == 2
    assert message in said
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_an_interrupt_says_how_to_resume(run, tmp_path):
    write_dataset(tmp_path / "large", 1200, rows_per_shard=100)
    command = [sys.executable, "-W", "ignore", "-m", "lit_precompute", "data", "shuffle", "large"]
    options = ["--output", "stopped", "--rows-per-shard", "10"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    until = time.monotonic() + 900
    while not list((tmp_path / "stopped").glob("_work/gather/*")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=900)[1]
    assert process.returncode == 130
    assert "interrupted; what is finished is kept: run the same command again to resume" in said
    for output in ("stopped", "whole"):
        assert run("large", "--output", output, "--rows-per-shard", "10")[0] == 0
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")
