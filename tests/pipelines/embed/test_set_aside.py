"""Units that cannot be embedded however often they are attempted, and jobs watched and stopped from outside."""

import json
import re

import pytest

from lit_precompute.pipelines.embed.directory.attempts import Attempts
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage import open_folder
from tests.pipelines.embed.making import arguments, run, write_source
from tests.schemas.making import files_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def _not_yet(*_):
    raise RuntimeError("not yet")


def test_a_unit_that_was_killed_three_times_is_set_aside_and_everything_else_is_kept(
    tmp_path, monkeypatch, source, capsys
):
    """As an out-of-memory kill leaves it: attempts that began and never ended."""
    assert run(monkeypatch, *arguments(source, tmp_path / "alone")) == 0
    output = tmp_path / "out"
    publish = JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, output)) == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    (output / "_work/shards/00002.json").unlink()
    for launch in ("one", "two", "three"):
        Attempts(open_folder(output), launch).begin(2)
    capsys.readouterr()
    assert run(monkeypatch, *arguments(source, output)) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert re.search(
        r"1 unit of 6 failed three times and were set aside: 2; unit 2 reads .*captions.tsv; .*memory", said
    )
    assert len(list((output / "_work/shards").iterdir())) == 5
    assert run(monkeypatch, *arguments(source, output)) == 0
    assert verify(output) == []
    assert files_of(output) == files_of(tmp_path / "alone")


def test_the_status_of_a_job_before_while_and_after(tmp_path, monkeypatch, source, capsys):
    output = tmp_path / "out"
    for command in (["status"], ["status", "--json"], ["cancel"]):
        assert run(monkeypatch, *command, output) == 2
        assert f"{output}: no job has begun here; check the path" in capsys.readouterr().err
    publish = JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, output)) == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    for unit in (1, 4):
        (output / f"_work/shards/{unit:05d}.json").unlink()
    attempts = Attempts(open_folder(output), "launch")
    attempts.fail(attempts.begin(4), "the disk is full")
    capsys.readouterr()
    assert run(monkeypatch, "status", output, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["num_units"], found["num_done"]) == ("unfinished", 6, 4)
    assert found["missing"] == [1, 4]
    assert found["attempted"]["4"][1] == "the disk is full"
    assert found["num_rows"] == 29
    assert sum(found["failures"].values()) == found["num_failures"]
    assert run(monkeypatch, "status", output) == 0
    said = capsys.readouterr().out
    assert "done       4 of 6 shards, 29 rows" in said
    assert "missing    1, 4" in said
    assert run(monkeypatch, *arguments(source, output)) == 0
    capsys.readouterr()
    assert run(monkeypatch, "status", output) == 0
    assert "finished" in capsys.readouterr().out


def test_a_job_that_is_cancelled_from_elsewhere_stops_and_its_command_resumes_it(tmp_path, monkeypatch, source, capsys):
    output = tmp_path / "out"
    assert run(monkeypatch, "cancel", output) == 2
    assert "no job has begun here" in capsys.readouterr().err
    attempt = Attempts.begin

    def cancelled_in_the_third(self, unit):
        if unit == 2:
            JobDirectory(str(output)).request_stop()
        return attempt(self, unit)

    monkeypatch.setattr(Attempts, "begin", cancelled_in_the_third)
    assert run(monkeypatch, *arguments(source, output)) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert re.search(r"it was cancelled; \d shards of 6 are missing", said)
    assert 1 <= len(list((output / "_work/shards").iterdir())) < 6
    monkeypatch.setattr(Attempts, "begin", attempt)
    assert run(monkeypatch, *arguments(source, output)) == 0
    assert verify(output) == []
    capsys.readouterr()
    assert run(monkeypatch, "cancel", output) == 2
    assert "the job is finished; nothing is left to stop" in capsys.readouterr().err
