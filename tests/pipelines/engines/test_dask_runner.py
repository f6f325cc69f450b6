"""Pipelines on a Dask cluster of two worker processes that hash strings differently."""

import pathlib
import sys
import threading

import pytest

pytest.importorskip("distributed", reason="the extra `dask` is not installed")
from dask import distributed

from lit_precompute.pipelines.embed.errors import in_words
from lit_precompute.pipelines.engines.runners import new_pipeline
from lit_precompute.pipelines.engines.running import start
from tests.engines import stand_in
from tests.engines.servers import Servers
from tests.pipelines.embed.making import arguments, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
ROOT = pathlib.Path(__file__).parents[3]
LIMIT_S = 120


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Starts the cluster; returns the scheduler's address."""
    towers = tmp_path_factory.mktemp("towers")
    (towers / "my_towers.py").write_text("from tests.towers import tiny_tower\ntiny_tower.register_tiny_tower()\n")
    with (
        distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster,
        Servers(tmp_path_factory.mktemp("dask")) as servers,
    ):
        for seed in ("1", "2"):
            command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
            command += ["--nthreads=1", "--no-dashboard", "--host=127.0.0.1"]
            servers.start(f"worker-{seed}", command, PYTHONHASHSEED=seed, PYTHONPATH=f"{towers}:{ROOT}")
        cluster.wait_for_workers(2, timeout=LIMIT_S)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(towers)
            yield cluster.scheduler_address


def started(address, folder, **options):
    pipeline = new_pipeline(["--runner=DaskRunner", f"--dask_client_address={address}"])
    stand_in.build(pipeline, folder, **options)
    return start(pipeline)


def ended(job):
    """Waits for the end of the job, which must come."""
    states = []
    thread = threading.Thread(target=lambda: states.append(job.wait()), daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    return states[0]


def test_two_processes_share_the_units_and_all_results_arrive_at_once(address, tmp_path):
    job = started(address, tmp_path, slow_s=0.1)
    assert ended(job) == job.state() == "done"
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
    job = started(address, tmp_path, fail=fail)
    assert ended(job) == "failed"
    assert in_words(RuntimeError(job.error()), str(tmp_path)).sentence == words


def test_a_job_is_cancelled(address, tmp_path):
    job = started(address, tmp_path, hold=0)
    assert job.state() in ("pending", "running")
    assert job.cancel()
    assert ended(job) == "cancelled"
    (tmp_path / "go-on").touch()
    assert not (tmp_path / "manifest.json").exists()


def test_lit_embed_gives_the_bytes_of_a_job_in_this_process(address, tmp_path, monkeypatch, capfd):
    table = write_source(tmp_path / "source", 20)
    given = {"weights": write_weights(tmp_path / "weights.npz"), "tower": f"my_towers:{NAME}"}
    assert run(monkeypatch, *arguments(table, tmp_path / "alone", **given)) == 0
    capfd.readouterr()
    dask = ("--runner=DaskRunner", f"--dask_client_address={address}")
    assert run(monkeypatch, *arguments(table, tmp_path / "out", **given), *dask) == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    assert capfd.readouterr().err == ""
