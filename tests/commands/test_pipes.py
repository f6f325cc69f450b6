"""Output that nobody reads any more ends a command without a word."""

import os
import subprocess
import sys

import pytest

from lit_precompute.commands.pipes import quiet_when_pipe_closes

COMMANDS = ["--help", "tune --help", "eval --help", "embed --help", "data info tests/golden/dataset_v2/float16 --json"]


def _start(arguments: str, **streams: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "lit_precompute", *arguments.split()], **streams)


@pytest.mark.slow
def test_every_command_ends_with_the_status_of_a_closed_pipe():
    """The pipe is closed before the first byte, so that nothing depends on who is faster."""
    reader, writer = os.pipe()
    os.close(reader)
    running = [_start(arguments, stdout=writer, stderr=subprocess.PIPE) for arguments in COMMANDS]
    running.append(_start("data info nowhere", stdout=writer, stderr=writer))  # as by 2>&1
    os.close(writer)
    ended = [(process.args[3:], process.communicate(timeout=900)[1], process.returncode) for process in running]
    assert [each for each in ended if each[1] or each[2] != 141] == []


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_output_that_the_shell_has_closed_goes_nowhere(closed):
    command = f"{sys.executable} -m lit_precompute data info tests/golden/dataset_v2/float16 --json {closed}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=900, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_another_broken_pipe_is_an_error():
    """Such as one to a worker, or a network connection."""
    with pytest.raises(BrokenPipeError), quiet_when_pipe_closes():
        raise BrokenPipeError
