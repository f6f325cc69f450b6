"""The status of jobs that run, that have died and that are finished, as another machine sees them."""

import json
import time

import pytest

from lit_precompute.commands.embed.status import describe
from lit_precompute.pipelines.embed.directory import attempts
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.reporting import recorder
from lit_precompute.pipelines.embed.reporting.recorder import Recorder
from lit_precompute.pipelines.embed.reporting.status import read_status
from tests.pipelines.embed.making import arguments, run, write_source

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"), bad=False)


def _not_yet(*_):
    raise RuntimeError("not yet")


def test_a_running_job_shows_its_rate_and_what_is_left(tmp_path, monkeypatch, source):
    """Looked at in the fourth of five units, after the first of its two batches; every batch gives a sign of life."""
    monkeypatch.setattr(recorder, "SIGN_EVERY_S", 0.0)
    seen, add = [], Recorder.add

    def look(self, datasets, number, batch):
        add(self, datasets, number, batch)
        if batch.examples[0].key == "024.png":
            seen.append(read_status(str(tmp_path / "out")))

    monkeypatch.setattr(Recorder, "add", look)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    (status,) = seen
    assert (status.state, status.is_running, status.num_workers) == ("unfinished", True, 1)
    assert (status.num_done, status.num_rows, status.num_units) == (3, 24, 5)
    assert status.rows_per_second > 0
    assert status.seconds_left == pytest.approx((40 - 24 - 4) / status.recent_rows_per_second)
    assert 0 <= status.last_sign_s < attempts.SIGN_EVERY_S


def test_a_job_that_has_died_is_not_said_to_run(tmp_path, monkeypatch, source, capsys):
    output, publish = tmp_path / "out", JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, output)) == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    capsys.readouterr()
    assert run(monkeypatch, "status", output) == 0
    said = capsys.readouterr().out
    assert "running    1 worker, last sign of life" in said  # which it may, for all that can be seen
    assert " rows/s in the last 5 minutes, " in said and "launch     FnApiRunner, 20" in said
    an_hour_later = read_status(str(output), clock=lambda: time.time() + 3600)
    assert (an_hour_later.is_running, an_hour_later.num_workers, an_hour_later.seconds_left) == (False, 0, None)
    assert an_hour_later.last_sign_s == pytest.approx(3600, abs=60)
    assert "silent     last sign of life 1 h 00 min ago: it has stopped, unless" in describe(an_hour_later)


def test_a_finished_job_shows_what_its_report_says(tmp_path, monkeypatch, source, capsys):
    assert run(monkeypatch, *arguments(source, tmp_path / "out", rows_per_shard=64)) == 0
    report = json.loads((tmp_path / "out/job-report.json").read_text())
    capsys.readouterr()
    assert run(monkeypatch, "status", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["num_rows"], found["rows_per_second"]) == ("finished", 40, report["rows_per_second"])
    assert [launch["num_rows"] for launch in found["launches"]] == [40]
    assert run(monkeypatch, "status", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert f"rate       {report['rows_per_second']:,.1f} rows/s\n" in said
    (tmp_path / "out/job-report.json").unlink()
    assert run(monkeypatch, "status", tmp_path / "out") == 0
    assert "finished" in capsys.readouterr().out
