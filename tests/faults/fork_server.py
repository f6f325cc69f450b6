"""Runs commands in forked processes, each a group of its own, and sends them signals at chosen points.

    python -m tests.faults.fork_server

Forks from a process that has imported Beam, TensorFlow and JAX but started none of them, which saves each command
seconds of imports. Takes JSON lines, answers with JSON lines; `forks` is the other side.
"""

import json
import os
import pathlib
import signal
import sys
import tempfile
import traceback

import gcsfs  # noqa: F401
import s3fs  # noqa: F401
import tensorflow  # noqa: F401

from lit_precompute.commands import data as data_command
from lit_precompute.commands import embed as embed_command
from lit_precompute.pipelines.embed import graph
from tests.faults import points
from tests.pipelines.embed import second_tower

_COMMANDS = {"lit-embed": embed_command.main, "lit-data": data_command.main}
assert graph  # imported before forking, like TensorFlow
assert second_tower  # registers both of the tests' towers


def _start(request):
    """Starts a command; returns its process id."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    folder = pathlib.Path(request["folder"])
    null = os.open(os.devnull, os.O_RDONLY)
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor, target in ((null, 0), (said, 1), (said, 2)):
        os.dup2(descriptor, target)
    status = 1
    try:
        status = _run(request, folder)
    except BaseException:  # noqa: BLE001 -- a forked process must not go on as its parent would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(request, folder):
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # found again in this environment
    aim = request["aim"] and points.Aim(**request["aim"])
    journal = points.watch(folder / "journal", aim)
    sys.argv = request["command"]
    status = 0
    try:
        _COMMANDS[request["command"][0]]()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    journal.close()
    return status


def _wait(child):
    """Waits until a process ends (its exit status, or minus a signal), or is stopped (None)."""
    _, status = os.waitpid(child, os.WUNTRACED)
    return None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


def _send(child, number):
    """Sends a signal to a process and all that it has started; one that has only just begun has no group yet."""
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        os.kill(child, number)


def main():
    children = set()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            answer = _start(request)
            children.add(answer)
        elif request["do"] == "wait":
            answer = _wait(request["child"])
            if answer is not None:
                children.remove(request["child"])
        else:
            answer = _send(request["child"], signal.Signals(request["signal"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for child in children:  # of a test that has failed
        os.killpg(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
