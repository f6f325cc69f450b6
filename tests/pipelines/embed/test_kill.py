"""A job killed at any moment is resumed by the same command and gives the same bytes."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from lit_precompute.schemas.checking.verification import verify
from tests.pipelines.embed.making import arguments, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, write_weights

NUM_KILLS = 22
ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.slow
def test_killed_at_random_moments_a_job_gives_the_bytes_of_an_undisturbed_run(tmp_path):
    table = write_source(tmp_path / "source", 200)
    weights = write_weights(tmp_path / "weights.npz")
    command = [sys.executable, "-W", "ignore", "-m", "tests.pipelines.embed.kill_at_random"]
    result = subprocess.run(
        [*command, str(table), weights, str(tmp_path / "out"), str(NUM_KILLS), "7"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout.splitlines()[-1])
    assert outcome["statuses"][-1] == 0
    killed = outcome["statuses"].count(-signal.SIGKILL)
    assert killed >= 20, outcome
    # The kills were spread over the work: before any shard, between shards, and after the last.
    assert len({count for count in outcome["finished"] if count >= 0}) >= 5, outcome
    expected = files_of(tmp_path / "out-undisturbed")
    for directory in [tmp_path / "out", *tmp_path.glob("out-finished-*")]:
        assert verify(directory) == []
        assert files_of(directory) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_and_says_how_to_resume(tmp_path, number):
    table = write_source(tmp_path / "source", 4000, bad=False)
    program = f"""
import sys
from tests.pipelines.embed.making import arguments
from lit_precompute.commands.embed import main
import pathlib
sys.argv = ["lit-embed", *arguments(pathlib.Path({str(table)!r}), {str(tmp_path / "out")!r})]
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    until = time.monotonic() + 60
    while not list((tmp_path / "out").glob("_work/shards/*.json")):
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; finished shards are kept: run the same command again to resume" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_two_launchers_on_one_output_with_a_custom_tower(tmp_path):
    """Two real commands at once, with a tower registered by a module in the working directory."""
    (tmp_path / "my_towers.py").write_text("from tests.towers import tiny_tower\ntiny_tower.register_tiny_tower()\n")
    table = write_source(tmp_path / "source", 300)
    weights = write_weights(tmp_path / "weights.npz")

    def launch(output):
        options = arguments(table, tmp_path / output, weights, tower=f"my_towers:{NAME}")
        command = [str(pathlib.Path(sys.executable).parent / "lit-embed"), *options]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    launchers = [launch("out"), launch("out")]
    for launcher in [*launchers, launch("alone")]:
        said, _ = launcher.communicate(timeout=240)
        assert launcher.returncode == 0, said
    assert verify(tmp_path / "out") == []
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
