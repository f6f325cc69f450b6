"""Runs lit-embed in forked processes and kills them at random moments; test_kill.py checks the outcome.

    python -m tests.pipelines.embed.kill_at_random TABLE WEIGHTS OUTPUT KILLS SEED

Forks from a process that has imported Beam, TensorFlow and JAX but has not started any of them, which saves each
attempt seconds of imports. Prints one JSON line: the exit status of each attempt and the finished shards after it.
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
from lit_precompute.pipelines.embed import graph
from tests.pipelines.embed.making import arguments

assert graph  # imported before forking, like TensorFlow below
import tensorflow  # noqa: E402, F401  # decoding imports it late

# Moments are drawn from the duration of an undisturbed run, times this factor.
_BEYOND = 1.1


def attempt(command: list[str], is_time_to_kill: Callable[[float], bool] | None = None) -> tuple[int, float]:
    """Runs the command in a child; kills it once `is_time_to_kill` (called with the seconds since start) returns True.

    Returns:
      Its exit status and duration in seconds.
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
    """Returns the number of finished shards, -1 once the dataset is published."""
    return -1 if (output / "manifest.json").exists() else len(list(output.glob("_work/shards/*.json")))


def draw_moment(
    generator: random.Random, directory: pathlib.Path, duration_s: float, *, in_time: bool
) -> Callable[[float], bool]:
    """Returns a moment drawn uniformly in time, or as soon as some more shards are finished.

    Drawn by time alone, most moments of a short job come before its first shard or after its last.
    """
    latest_s = generator.uniform(0, duration_s * _BEYOND)
    target = max(count_finished(directory), 0) + generator.randint(1, 4)

    def is_now(elapsed_s: float) -> bool:
        if in_time:
            return elapsed_s >= latest_s
        return not -1 < count_finished(directory) < target or elapsed_s > duration_s * _BEYOND

    return is_now


def finish(command: list[str]) -> list[int]:
    """Lets attempts end until one succeeds; a unit that was killed three times in a row is set aside once."""
    statuses = [attempt(command)[0]]
    while statuses[-1] == 1 and len(statuses) < 3:
        statuses.append(attempt(command)[0])
    return statuses


def main() -> None:
    """Kills attempts at one output, then lets one finish; the caller compares the files."""
    table, weights, output, num_kills, seed = sys.argv[1:]
    command = arguments(pathlib.Path(table), f"{output}-undisturbed", weights)
    status, duration_s = attempt(command)
    assert status == 0
    generator = random.Random(int(seed))
    command = arguments(pathlib.Path(table), output, weights)
    directory = pathlib.Path(output)
    statuses: list[int] = []
    finished: list[int] = []
    # An attempt that ends before its moment is not a kill; a fast machine has more of those.
    while statuses.count(-signal.SIGKILL) < int(num_kills) and len(statuses) < 4 * int(num_kills):
        moment = draw_moment(generator, directory, duration_s, in_time=len(statuses) % 2 == 0)
        statuses.append(attempt(command, moment)[0])
        finished.append(count_finished(directory))
        if finished[-1] == -1:  # start over: the test is about unfinished work
            assert finish(command)[-1] == 0
            directory.rename(f"{output}-finished-{len(statuses):02d}")
    statuses += finish(command)
    sys.stdout.write(json.dumps({"statuses": statuses, "finished": finished, "duration_s": duration_s}) + "\n")


if __name__ == "__main__":
    main()
