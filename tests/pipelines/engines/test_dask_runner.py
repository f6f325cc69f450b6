"""Pipelines on a Dask cluster of two worker processes that hash strings differently."""

import dataclasses
import pathlib
import sys

import pytest

pytest.importorskip("distributed", reason="the extra `dask` is not installed")
from dask import distributed

from lit_precompute.pipelines.deduplicate import DeduplicateOptions, deduplicate
from lit_precompute.pipelines.embed.errors import in_words
from lit_precompute.pipelines.embed.reporting.job_report import read_report
from lit_precompute.pipelines.shuffle import ShuffleOptions, shuffle
from lit_precompute.schemas.storage import open_folder
from tests.engines import jobs, stand_in
from tests.engines.servers import Servers
from tests.pipelines.embed.making import arguments, run, write_source
from tests.pipelines.shuffle.making import write_dataset
from tests.precompute.duplicates.making import clusters, write_rows
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, write_weights

_TOWERS = "from tests.towers import tiny_tower\ntiny_tower.register_tiny_tower()\n"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
ROOT = pathlib.Path(__file__).parents[3]
LIMIT_S = 600  # met only by what hangs


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Starts the cluster; returns the scheduler's address."""
    with (
        distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Servers(tmp_path_factory.mktemp("dask")) as servers,
    ):
        for seed in ("1", "2"):
            command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
            command += ["--nthreads=1", "--no-dashboard", "--host=127.0.0.1"]
            servers.start(f"worker-{seed}", command, PYTHONHASHSEED=seed, PYTHONPATH=str(ROOT))
        cluster.wait_for_workers(2, timeout=LIMIT_S)
        yield cluster.scheduler_address


def _flags(address):
    return ["--runner=DaskRunner", f"--dask_client_address={address}"]


def test_two_processes_share_the_units_and_all_results_arrive_at_once(address, tmp_path):
    job = jobs.started(_flags(address), tmp_path, slow_s=0.1)
    assert jobs.ended(job, LIMIT_S) == job.state() == "done"
    assert len(stand_in.check(tmp_path)) == 2
    assert (job.runner, job.link, job.metrics(), job.error()) == ("DaskRunner", None, {}, "")


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (stand_in.fail, "unit 3: ValueError: no such thing"),
        (stand_in.fail_deeply, "unit 3: RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_an_error_reaches_the_launcher_in_the_workers_words(address, tmp_path, fail, words):
    job = jobs.started(_flags(address), tmp_path, fail=fail)
    assert jobs.ended(job, LIMIT_S) == "failed"
    assert in_words(RuntimeError(job.error()), str(tmp_path)).sentence == words


def test_a_job_is_cancelled(address, tmp_path):
    job = jobs.started(_flags(address), tmp_path, hold=0)
    assert job.state() in ("pending", "running")
    assert job.cancel()
    assert jobs.ended(job, LIMIT_S) == "cancelled"
    (tmp_path / "go-on").touch()
    assert not (tmp_path / "manifest.json").exists()


def test_a_shuffle_on_two_processes_gives_the_bytes_of_one_here(address, tmp_path):
    dataset = write_dataset(tmp_path / "dataset")
    options = ShuffleOptions(dataset=dataset, output=str(tmp_path / "here"), seed=3, rows_per_shard=30)
    shuffle(options)
    shuffle(dataclasses.replace(options, output=str(tmp_path / "there")), beam_flags=_flags(address))
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


def test_duplicates_found_on_two_processes_are_those_found_here(address, tmp_path):
    rows, against = (write_rows(tmp_path / f"rows-{seed}", clusters(60, seed=seed)) for seed in (0, 1))
    options = DeduplicateOptions(
        dataset=rows,
        output=str(tmp_path / "here.selection"),
        against=(against,),
        within=True,
        threshold=0.95,
        slab_rows=40,
    )
    assert 0 < deduplicate(options).mask(0, 60).sum() < 60
    deduplicate(dataclasses.replace(options, output=str(tmp_path / "there.selection")), beam_flags=_flags(address))
    assert (tmp_path / "there.selection").read_bytes() == (tmp_path / "here.selection").read_bytes()


@pytest.mark.slow
def test_lit_embed_on_two_processes_here_gives_the_bytes_of_a_job_in_this_one(tmp_path, monkeypatch, capfd):
    """Without an address Dask starts worker processes; what they print is captured, too."""
    (tmp_path / "towers_of_dask.py").write_text(_TOWERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    table = write_source(tmp_path / "source", 20)
    given = {"weights": write_weights(tmp_path / "weights.npz"), "tower": f"towers_of_dask:{NAME}"}
    assert run(monkeypatch, *arguments(table, tmp_path / "alone", **given)) == 0
    assert run(monkeypatch, *arguments(table, tmp_path / "out", **given), "--runner=DaskRunner") == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    report, alone = (read_report(open_folder(tmp_path / name)) for name in ("out", "alone"))
    assert [launch.runner for launch in report.launches] == ["DaskRunner"]
    assert (report.rows_read, report.num_units, report.num_attempts) == (25, 4, 4)
    assert (report.bytes_read, report.bytes_written) == (alone.bytes_read, alone.bytes_written)
    assert report.seconds.decoding > 0 and report.seconds.device > 0
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_failed_rows_are_attempted_again_on_two_processes(tmp_path, monkeypatch, capfd):
    """The launcher reads no source: the worker that has the plan takes the finished dataset back into a job."""
    (tmp_path / "towers_of_dask.py").write_text(_TOWERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    table = write_source(tmp_path / "source", 20)
    given = {"weights": write_weights(tmp_path / "weights.npz"), "tower": f"towers_of_dask:{NAME}"}
    assert run(monkeypatch, *arguments(table, tmp_path / "alone", **given)) == 0
    image = tmp_path / "source/017.png"
    image.rename(tmp_path / "away.png")
    assert run(monkeypatch, *arguments(table, tmp_path / "out", **given)) == 0
    (tmp_path / "away.png").rename(image)
    capfd.readouterr()
    command = [*arguments(table, tmp_path / "out", **given), "--retry-failures", "--runner=DaskRunner"]
    assert run(monkeypatch, *command) == 0
    said, errors = capfd.readouterr()
    assert errors == ""
    assert "2 rows attempted again; 1 of them now have embeddings" in said  # bad/missing.png stays missing
    assert "9 rows in " in said  # two shards, of eight rows and of one
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")


def test_a_worker_is_killed_in_the_middle_and_the_other_goes_on(address, tmp_path):
    """The last one: the cluster has one worker less then."""
    assert jobs.check_killed_worker(_flags(address), tmp_path, patience_s=LIMIT_S)
