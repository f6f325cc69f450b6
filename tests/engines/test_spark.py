"""Spark: a cluster of two workers on this machine, behind Beam's job server."""

import pytest

from tests.engines import clusters, jobs
from tests.engines.servers import Servers


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Starts the cluster; returns the flags of a job on it."""
    folder = tmp_path_factory.mktemp("spark")
    with Servers(folder) as servers:
        yield [*clusters.spark(servers), *clusters.workers(folder)]


def test_two_workers_share_the_units(flags, tmp_path):
    jobs.check_stand_in(flags, tmp_path, num_processes=2)


def test_a_worker_is_killed_in_the_middle_and_the_job_goes_on(flags, tmp_path):
    assert jobs.check_killed_worker(flags, tmp_path)


def test_an_error_reaches_the_launcher_in_the_workers_words(flags, tmp_path):
    jobs.check_failure(flags, tmp_path)


def test_lit_embed_gives_the_bytes_of_a_job_in_one_process(flags, alone, tmp_path):
    jobs.check_embed(flags, alone, tmp_path / "embedded")
