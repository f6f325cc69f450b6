"""Runners by the names that users type: where they embed, and what is refused before a job begins."""

import pytest

from lit_precompute.pipelines.engines.runners import (
    check_places,
    check_runner,
    embeds_here,
    installs_staged_packages,
    outlives_launcher,
    runner_name,
    shares_disk,
    with_runner,
)

ENDPOINT = ["--runner=PortableRunner", "--job_endpoint=jobs.example:8099"]


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "FnApiRunner"),
        (["--save_main_session"], "FnApiRunner"),
        (["--runner", "FlinkRunner"], "FlinkRunner"),
        (["--runner=DaskRunner"], "DaskRunner"),
        (["--runner", "dask"], "DaskRunner"),
        (["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"], "DaskRunner"),
    ],
)
def test_runners_are_found_by_the_names_that_users_type(flags, name):
    assert runner_name(flags) == name
    check_runner(flags)


def test_dask_runs_by_the_translation_of_this_package():
    assert with_runner(["--runner=DaskRunner"])[-1] == (
        "--runner=lit_precompute.pipelines.engines.dask_runner.DaskRunner"
    )


def test_dask_has_to_be_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"--runner=DaskRunner needs Dask: pip install 'lit-precompute\[dask\]'"):
        check_runner(["--runner=DaskRunner"])


@pytest.mark.parametrize(
    ("flags", "here", "disk", "outlives"),
    [
        (["--runner=FnApiRunner"], True, True, False),
        (["--runner", "FnApiRunner"], True, True, False),
        (["--runner=DirectRunner"], True, True, False),
        (["--runner=PrismRunner"], True, True, False),
        (["--runner=FlinkRunner"], True, True, False),
        (["--runner=SparkRunner"], True, True, False),
        ([*ENDPOINT, "--environment_type=LOOPBACK"], True, True, False),
        (["--runner=SparkRunner", "--spark_master_url=spark://127.0.0.1:7077"], False, False, False),
        (
            ["--runner=SparkRunner", "--spark_master_url=spark://127.0.0.1:7077", "--environment_type=PROCESS"],
            *(False, True, False),
        ),
        (
            ["--runner=SparkRunner", "--spark_master_url=spark://spark.example:7077", "--environment_type=PROCESS"],
            *(False, False, False),
        ),
        (
            ["--runner=FlinkRunner", "--flink_master=localhost:8081", "--environment_type=EXTERNAL"],
            *(False, True, False),
        ),
        (
            ["--runner=FlinkRunner", "--flink_master=http://10.0.0.7:8081", "--environment_type=EXTERNAL"],
            *(False, False, False),
        ),
        (
            ["--runner=FlinkRunner", "--flink_master=http://localhost:8081", "--environment_type=DOCKER"],
            *(False, False, False),
        ),
        (["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL"], False, True, False),
        ([*ENDPOINT, "--environment_type=EXTERNAL"], False, False, True),
        (["--runner=DaskRunner"], False, True, False),
        (["--runner=DaskRunner", "--dask_client_address=tcp://127.0.0.1:8786"], False, True, False),
        (["--runner=DaskRunner", "--dask_client_address=tcp://10.0.0.7:8786"], False, False, False),
        (["--runner=DaskRunner", "--dask_scheduler_file=/nfs/scheduler.json"], False, False, False),
        (["--runner=DataflowRunner"], False, False, True),
    ],
)
def test_where_a_runner_embeds(flags, here, disk, outlives):
    assert (embeds_here(flags), shares_disk(flags), outlives_launcher(flags)) == (here, disk, outlives)


def test_a_local_path_is_refused_where_workers_do_not_share_the_disk():
    places = {"--output": "embedded", "--source": "gs://bucket/source", "--weights": None}
    check_places([], places)
    check_places([*ENDPOINT, "--environment_type=LOOPBACK"], places)
    with pytest.raises(ValueError, match="--output embedded: the workers of --runner=PortableRunner do not share this"):
        check_places(ENDPOINT, places)
    check_places(ENDPOINT, {"--output": "file:///nfs/embedded"})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=FlankRunner"], "--runner=FlankRunner: there is no such runner. Did you mean FlinkRunner"),
        (
            ["--runner=DaskRunnr"],
            "Did you mean DaskRunner[?] Give one of DaskRunner, DataflowRunner, FlinkRunner, FnApi",
        ),
        (["--runner=x"], "--runner=x: there is no such runner. Give one of DaskRunner"),
        (["--runner=no.such.Runner"], "--runner=no.such.Runner: No module named 'no'"),
        ([*ENDPOINT, "--environment_type=PROCESS"], "--runner=PortableRunner: .*process_command"),
        (["--runner=PortableRunner"], "--runner=PortableRunner needs the job server's address"),
        (["--region=us-central1"], "--region asks Dataflow, but without --runner the job runs in this process"),
        (["--max_num_workers", "50"], "--max_num_workers asks Dataflow.* give --runner=DataflowRunner, or leave it"),
    ],
)
def test_a_runner_that_cannot_run_is_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        check_runner(flags)


@pytest.mark.parametrize(
    ("flags", "installs"),
    [
        (["--runner=DaskRunner"], False),
        (
            [*ENDPOINT, "--environment_type=PROCESS", "--environment_options=process_command=/o/bin/lit-embed-worker"],
            False,
        ),
        (
            [*ENDPOINT, "--environment_type=PROCESS", '--environment_config={"command": "/o/bin/lit-embed-worker"}'],
            False,
        ),
        (
            [*ENDPOINT, "--environment_type=PROCESS", "--environment_options=process_command=/opt/apache/beam/boot"],
            True,
        ),
        (ENDPOINT, True),
        (["--runner=DataflowRunner"], True),
    ],
)
def test_which_workers_install_what_is_staged(flags, installs):
    assert installs_staged_packages(flags) == installs
