"""Which runner embeds here, what is refused before a job begins, and what worker processes print."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from lit_precompute.pipelines.embed.runners import check_runner, embeds_here
from tests.pipelines.embed.making import arguments, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME, write_weights

ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("flags", "here"),
    [
        (["--runner=FnApiRunner"], True),
        (["--runner", "FnApiRunner"], True),
        (["--runner=DirectRunner"], True),
        (["--runner=DataflowRunner"], False),
    ],
)
def test_batch_sizes_are_tried_only_on_devices_that_will_embed(flags, here):
    assert embeds_here(flags) == here


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=FlankRunner"], "--runner=FlankRunner: Unexpected pipeline runner: FlankRunner"),
        (["--runner=no.such.Runner"], "--runner=no.such.Runner: No module named 'no'"),
        (["--runner=PortableRunner", "--environment_type=PROCESS"], "--runner=PortableRunner: .*process_command"),
    ],
)
def test_a_runner_that_cannot_run_is_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        check_runner(flags)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_processing", "multi_threading"])
def test_workers_print_nothing_but_the_launchers_message(tmp_path, mode):
    """Beam's log and stacks stay off standard error, of a job that succeeds and of one that a worker stops."""
    (tmp_path / "my_towers.py").write_text("from tests.towers import tiny_tower\ntiny_tower.register_tiny_tower()\n")
    table = write_source(tmp_path / "source", 20)
    weights = write_weights(tmp_path / "weights.npz")

    def launch(output, *more):
        command = [str(pathlib.Path(sys.executable).parent / "lit-embed")]
        command += [*arguments(table, tmp_path / output, weights, tower=f"my_towers:{NAME}"), *more]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stderr

    workers = ("--direct_num_workers=2", f"--direct_running_mode={mode}")
    assert launch("alone") == (0, "")
    assert launch("out", *workers) == (0, "")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    status, said = launch("stopped", *workers, "--max-failures=0")
    assert status == 1 and said.startswith("error: ") and said.count("\n") == 1
    shutil.rmtree(tmp_path / "stopped/embeddings")
    (tmp_path / "stopped/embeddings").write_text("in the way")
    status, said = launch("stopped", *workers)
    assert status == 1
    assert re.fullmatch(
        rf"error: the job stopped: rows \d+ to \d+ of {table}: {tmp_path}/stopped/embeddings: File exists. Finished "
        r"shards are kept: run the same command again to resume\n",
        said,
    )
    status, said = launch("stopped", *workers, "--debug")
    assert status == 1 and "Traceback" in said and "apache_beam" in said
