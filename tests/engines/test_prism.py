"""Prism, Beam's local engine in Go, as a job server and as a program that the runner starts."""

import pytest

from tests.engines import clusters, jobs
from tests.engines.servers import Servers


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Starts Prism as a job server; returns the flags of a job on it, with workers of their own."""
    folder = tmp_path_factory.mktemp("prism")
    with Servers(folder) as servers:
        yield [*clusters.prism(servers), *clusters.workers(folder)]


def test_a_worker_runs_all_units(flags, tmp_path):
    jobs.check_stand_in(flags, tmp_path, num_processes=1)


def test_a_killed_worker_ends_the_job_and_the_rerun_finishes_it(flags, tmp_path):
    assert not jobs.check_killed_worker(flags, tmp_path, patience_s=60)


def test_an_error_reaches_the_launcher_in_the_workers_words(flags, tmp_path):
    jobs.check_failure(flags, tmp_path)


def test_lit_embed_gives_the_bytes_of_a_job_in_one_process(flags, alone, tmp_path):
    jobs.check_embed(flags, alone, tmp_path / "embedded")


def test_the_runner_starts_prism_itself(alone, tmp_path):
    flags = ["--runner=PrismRunner", f"--prism_location={clusters.prism_program()}"]
    jobs.check_embed(flags, alone, tmp_path / "embedded")
