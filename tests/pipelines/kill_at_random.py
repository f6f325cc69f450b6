"""Runs the whole command in forked processes and kills them at random moments; the test beside it reads the outcome.

    python -m tests.pipelines.kill_at_random TABLE WEIGHTS OUTPUT KILLS SEED

Forking from a process that has imported Beam, TensorFlow and JAX, but started none of them, saves each attempt their
seconds of import. Prints one JSON line: the attempts' exit statuses and how many shards each found finished.
"""

import json
import os
import pathlib
import random
import signal
import sys
import time

from pipelines import command_line, embed_job
from tests.pipelines.making import arguments

assert embed_job  # imported before forking, as TensorFlow below
import tensorflow  # noqa: E402, F401  # the late import of decoding

# Moments are drawn from the time that an undisturbed run takes, and a little more.
_BEYOND = 1.1


def attempt(command: list[str], kill_after_s: float | None) -> tuple[int, float]:
    """Runs the command in a child, killed after a while; returns its wait status and its seconds."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["lit-embed", *command]
        status = 0
        try:
            command_line.main()
        except SystemExit as end:
            status = int(end.code or 0)
        os._exit(status)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - started


def main() -> None:
    """Kills so many attempts at one output, then lets one end; what is left is for the caller to compare."""
    table, weights, output, num_kills, seed = sys.argv[1:]
    command = arguments(pathlib.Path(table), f"{output}-undisturbed", weights)
    status, duration_s = attempt(command, None)
    assert status == 0
    generator = random.Random(int(seed))
    command = arguments(pathlib.Path(table), output, weights)
    statuses: list[int] = []
    finished: list[int] = []
    # An attempt that ends before its moment comes is no kill, and a fast machine has more of them.
    while statuses.count(-signal.SIGKILL) < int(num_kills) and len(statuses) < 4 * int(num_kills):
        statuses.append(attempt(command, generator.uniform(0, duration_s * _BEYOND))[0])
        complete = (pathlib.Path(output) / "manifest.json").exists()
        finished.append(-1 if complete else len(list(pathlib.Path(output).glob("_work/shards/*.json"))))
        if complete:  # begin again: what is tested is work under way
            assert attempt(command, None)[0] == 0
            pathlib.Path(output).rename(f"{output}-finished-{len(statuses):02d}")
    statuses.append(attempt(command, None)[0])
    sys.stdout.write(json.dumps({"statuses": statuses, "finished": finished, "duration_s": duration_s}) + "\n")


if __name__ == "__main__":
    main()
