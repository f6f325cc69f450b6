"""job-report.json of real small jobs: sums checked by hand, and parts that are slowed down on purpose."""

import json
import time

import pytest

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.reporting import verdict
from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images import ahead
from lit_precompute.precompute.sources.table import source as table_source
from lit_precompute.schemas import ShardWriter
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage import DatasetError, open_folder
from tests.pipelines.embed.making import BAD, arguments, draw_image, run, write_source
from tests.schemas.making import files_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"))


def _report(output):
    report = read_report(open_folder(output))
    assert report is not None
    return report


def _not_yet(*_):
    raise RuntimeError("not yet")


def test_counts_are_those_of_the_files_whatever_happened_on_the_way(tmp_path, monkeypatch, source):
    """Two launches: the first embeds all six units and is stopped before it publishes; two of its markers are lost."""
    output, publish = tmp_path / "out", JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(source, output)) == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    for unit in (1, 4):
        (output / f"_work/shards/{unit:05d}.json").unlink()
    assert run(monkeypatch, *arguments(source, output)) == 0
    report = _report(output)
    assert (report.rows_read, report.rows_embedded, report.rows_failed) == (45, 40, 5)
    assert report.failures == {reason: 1 for reason, _ in BAD.values()}
    assert (report.num_units, report.num_attempts, report.num_retried) == (6, 6 + 2, 0)
    assert [(launch.num_units, launch.num_workers, launch.runner) for launch in report.launches] == [
        (4, 1, "FnApiRunner"),
        (2, 1, "FnApiRunner"),
    ]
    images = [path for path in source.parent.rglob("*") if path.suffix in (".png", ".jpg")]
    assert report.bytes_read == sum(path.stat().st_size for path in images)
    tables = ("embeddings", "captions", "labels", "failures")
    assert report.bytes_written == sum(path.stat().st_size for name in tables for path in (output / name).iterdir())
    (machine,) = report.machines
    assert (machine.device, machine.decode_in, machine.decode_workers, machine.num_rows) == ("cpu", "threads", 2, 45)
    seconds = report.seconds
    assert seconds.decoding > 0 and seconds.device > 0 and seconds.starting > 0 and seconds.writing > 0
    assert report.worker_s <= report.wall_s
    assert report.rows_per_second == pytest.approx(45 / report.wall_s, rel=0.01)


def test_it_is_no_part_of_the_dataset(tmp_path, monkeypatch, source):
    for name in ("one", "two"):
        assert run(monkeypatch, *arguments(source, tmp_path / name)) == 0
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert _report(tmp_path / "one") != _report(tmp_path / "two")
    assert verify(tmp_path / "one") == []
    (tmp_path / "one/job-report.json").unlink()
    assert verify(tmp_path / "one") == []
    assert run(monkeypatch, *arguments(source, tmp_path / "one")) == 0  # finished, all the same
    assert read_report(open_folder(tmp_path / "one")) is None


def test_a_retry_of_failed_rows_times_what_it_embeds_again_and_counts_all_rows(tmp_path, monkeypatch):
    table = write_source(tmp_path / "source")
    assert run(monkeypatch, *arguments(table, tmp_path / "out")) == 0
    (tmp_path / "source/bad/missing.png").write_bytes(draw_image(1))
    assert run(monkeypatch, *arguments(table, tmp_path / "out"), "--retry-failures") == 0
    report = _report(tmp_path / "out")
    assert (report.rows_read, report.rows_embedded, report.rows_failed) == (45, 41, 4)
    assert (report.num_units, report.num_timed) == (6, 1)
    assert sum(launch.num_rows for launch in report.launches) == 8
    assert verify(tmp_path / "out") == []


def _slower(function, seconds):
    def slow(*args, **options):
        time.sleep(seconds)
        return function(*args, **options)

    return slow


@pytest.mark.parametrize(
    ("slow", "bottleneck", "words"),
    [
        ((ahead, "prepare"), "decoding", "waiting for images to be decoded"),
        ((table_source, "read_image"), "reading", "waiting for the source"),
        ((Embedder, "start"), "device", "waiting for embeddings"),
        ((ShardWriter, "append"), "writing", "writing shards"),
    ],
)
def test_the_part_that_was_slowed_down_is_named(tmp_path, monkeypatch, source, capsys, slow, bottleneck, words):
    place, name = slow
    assert run(monkeypatch, *arguments(source, tmp_path / "first")) == 0  # which loads and compiles the tower
    capsys.readouterr()
    monkeypatch.setattr(place, name, _slower(getattr(place, name), 0.15))
    monkeypatch.setattr(verdict, "_LEAST_S", 0.0)
    assert run(monkeypatch, *arguments(source, tmp_path / "out", rows_per_shard=64, limit=24)) == 0
    report = _report(tmp_path / "out")
    assert report.verdict.bottleneck == bottleneck
    assert report.verdict.is_significant
    assert report.worker_s == pytest.approx(report.seconds.total, rel=0.1)
    said = capsys.readouterr().out.splitlines()
    (line,) = [line for line in said if "bottleneck" in line]
    assert line == report.verdict.sentence
    assert line.startswith(f"{bottleneck} was the bottleneck: ") and words in line


def test_a_short_job_says_nothing_of_bottlenecks(tmp_path, monkeypatch, source, capsys):
    assert run(monkeypatch, *arguments(source, tmp_path / "out", rows_per_shard=64)) == 0
    assert "bottleneck" not in capsys.readouterr().out


def test_a_damaged_report_is_an_error_and_one_of_a_later_version_is_none(tmp_path):
    folder, path = open_folder(tmp_path), tmp_path / "job-report.json"
    assert read_report(folder) is None
    path.write_text(json.dumps({"report_version": 2}))
    assert read_report(folder) is None
    path.write_text(json.dumps({"report_version": 1, "rows_read": "many"}))
    with pytest.raises(DatasetError, match=r"job-report.json: .*rows_read.*; the dataset does not need it: remove it"):
        read_report(folder)
