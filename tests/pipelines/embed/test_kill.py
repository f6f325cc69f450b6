"""Interrupts, and two launchers on one output; kills are in tests/faults."""

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

ROOT = pathlib.Path(__file__).parents[3]
LIMIT_S = 600  # met only by what hangs


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT] * 2], ids=str)
def test_an_interrupt_ends_cleanly_and_says_how_to_resume(tmp_path, numbers):
    """Two of them end the command at once."""
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
    until = time.monotonic() + LIMIT_S
    while not list((tmp_path / "out").glob("_work/shards/*.json")):
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)
    _, said = process.communicate(timeout=LIMIT_S)
    # A second Ctrl-C that arrives while the program ends kills it: a shell shows both as 130.
    assert process.returncode in ((130, -signal.SIGINT) if len(numbers) > 1 else (130,))
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
        said, _ = launcher.communicate(timeout=LIMIT_S)
        assert launcher.returncode == 0, said
    assert verify(tmp_path / "out") == []
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
