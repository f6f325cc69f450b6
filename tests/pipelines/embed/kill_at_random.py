"""Runs the whole command in forked processes and kills them at random moments; the test beside it reads the outcome.

    python -m tests.pipelines.embed.kill_at_random TABLE WEIGHTS OUTPUT KILLS SEED

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
from collections.abc import Callable

from lit_precompute.commands import embed as command_line
from lit_precompute.pipelines.embed import graph as embed_job
from tests.pipelines.embed.making import arguments

assert embed_job  # imported before forking, as TensorFlow below
import tensorflow  # noqa: E402, F401  # the late import of decoding

# Moments are drawn from the time that an undisturbed run takes, and a little more.
_BEYOND = 1.1


def attempt(command: list[str], is_time_to_kill: Callable[[float], bool] | None = None) -> tuple[int, float]:
    """Runs the command in a child, killed when it is time (asked with the seconds since its start).

    Returns:
      Its exit status, and its seconds.
    """
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
    status = 0
    if is_time_to_kill is not None:
        while not is_time_to_kill(time.monotonic() - started):
            time.sleep(0.0005)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - started


def count_finished(output: pathlib.Path) -> int:
    """Returns the number of shards that are finished, -1 when all is."""
    return -1 if (output / "manifest.json").exists() else len(list(output.glob("_work/shards/*.json")))


def draw_moment(
    generator: random.Random, directory: pathlib.Path, duration_s: float, *, in_time: bool
) -> Callable[[float], bool]:
    """Returns a moment drawn evenly in time, or as soon as some more shards are finished.

    In time alone, most moments of a short job lie before its first shard or after its last.
    """
    latest_s = generator.uniform(0, duration_s * _BEYOND)
    target = max(count_finished(directory), 0) + generator.randint(1, 4)

    def is_now(elapsed_s: float) -> bool:
        if in_time:
            return elapsed_s >= latest_s
        return not -1 < count_finished(directory) < target or elapsed_s > duration_s * _BEYOND

    return is_now


def main() -> None:
    """Kills so many attempts at one output, then lets one end; what is left is for the caller to compare."""
    table, weights, output, num_kills, seed = sys.argv[1:]
    command = arguments(pathlib.Path(table), f"{output}-undisturbed", weights)
    status, duration_s = attempt(command)
    assert status == 0
    generator = random.Random(int(seed))
    command = arguments(pathlib.Path(table), output, weights)
    directory = pathlib.Path(output)
    statuses: list[int] = []
    finished: list[int] = []
    # An attempt that ends before its moment comes is no kill, and a fast machine has more of them.
    while statuses.count(-signal.SIGKILL) < int(num_kills) and len(statuses) < 4 * int(num_kills):
        moment = draw_moment(generator, directory, duration_s, in_time=len(statuses) % 2 == 0)
        statuses.append(attempt(command, moment)[0])
        finished.append(count_finished(directory))
        if finished[-1] == -1:  # begin again: what is tested is work under way
            assert attempt(command)[0] == 0
            directory.rename(f"{output}-finished-{len(statuses):02d}")
    statuses.append(attempt(command)[0])
    sys.stdout.write(json.dumps({"statuses": statuses, "finished": finished, "duration_s": duration_s}) + "\n")


if __name__ == "__main__":
    main()
