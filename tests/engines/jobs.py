"""Jobs on real engines: the stand-in and lit-embed itself, undisturbed and with a worker killed in the middle."""

import os
import pathlib
import signal
import subprocess
import sys
import time

from apache_beam.metrics.metric import MetricsFilter

from lit_precompute.pipelines.embed.errors import in_words
from lit_precompute.pipelines.engines.runners import new_pipeline
from lit_precompute.pipelines.engines.running import start
from tests.engines import stand_in
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME

LIMIT_S = 900


def started(flags, folder, **options):
    """Starts the stand-in."""
    pipeline = new_pipeline(flags)
    stand_in.build(pipeline, folder, **options)
    return start(pipeline)


class NoEndError(AssertionError):
    """A job has not ended in time."""


def ended(job, limit_s=LIMIT_S):
    """Waits for the job's end, which must come."""
    deadline = time.monotonic() + limit_s

    def look():
        if time.monotonic() > deadline:
            raise NoEndError(f"no end after {limit_s} s: {job.state()}")

    return job.wait(look)


def check_stand_in(flags, folder, *, num_processes):
    """Runs the stand-in; checks its files, that several processes shared the units, and the counters."""
    job = started(flags, folder, slow_s=0.3)
    assert ended(job) == "done", job.error()
    assert len(stand_in.check(folder)) >= num_processes
    assert job.metrics(MetricsFilter().with_name("num-units")) == {"num-units": 16}, job.metrics()


def check_failure(flags, folder):
    """Checks that a worker's own sentence is found in what the engine says of a job that failed."""
    job = started(flags, folder, fail=stand_in.fail)
    assert ended(job) == "failed"
    assert in_words(RuntimeError(job.error()), str(folder)).sentence == "unit 3: ValueError: no such thing"


def check_killed_worker(flags, folder, *, patience_s=LIMIT_S):
    """Kills the process that holds a unit; returns whether the job itself went on, as a rerun always must.

    A job that has not ended when the patience does is cancelled.
    """
    job = started(flags, folder, hold=5)
    deadline = time.monotonic() + LIMIT_S
    while not (held := list((folder / "trace").glob("5-*"))):
        assert time.monotonic() < deadline and job.state() != "failed", job.error()
        time.sleep(0.1)
    os.kill(int(held[0].name.split("-")[1]), signal.SIGKILL)
    (folder / "go-on").touch()
    try:
        went_on = ended(job, patience_s) == "done"
    except NoEndError:
        went_on = not job.cancel()
    if not went_on:
        again = started(flags, folder)
        assert ended(again) == "done", again.error()
    stand_in.check(folder)
    return went_on


def embed(table, output, *flags):
    """Runs lit-embed; the output must be complete."""
    command = [sys.executable, "-m", "lit_precompute", "embed", "run"]
    given = {"source": table, "tower": f"my_towers:{NAME}", "weights": table.parent.parent / "weights.npz"}
    given |= {"output": output, "rows-per-shard": 8, "batch-size": 4, "decode-workers": 2}
    command += [part for name, value in given.items() for part in (f"--{name}", str(value))]
    ended = subprocess.run([*command, *flags], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == "", ended.stderr


def check_embed(flags, alone, output):
    """Runs lit-embed on an engine; the dataset must have the bytes of the one made in this process."""
    table, expected = alone
    embed(table, pathlib.Path(output), *flags)
    assert files_of(output) == files_of(expected)
