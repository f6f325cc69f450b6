"""A job that decodes images in processes, killed alone: they end with it and leave nothing; the bytes are the same."""

import dataclasses
import itertools
import pathlib
import time

import pytest

from tests.faults.jobs import content_of, embed
from tests.faults.points import draw_aim, seeded

pytestmark = pytest.mark.slow

NUM_KILLS = 10
# Images are decoded elsewhere: the phases of the process that is killed.
_PHASES = ("writing", "uploading", "publishing")
_SHARED = pathlib.Path("/dev/shm")
_PATIENCE_S = 600  # met only by what stays: some end once they have imported TensorFlow


@pytest.mark.parametrize("undisturbed", ["disk"], indirect=True)
def test_processes_end_with_their_parent_and_leave_nothing(undisturbed, forks, seed, scaled, counted):
    generator, num_killed = seeded(seed, "processes"), 0
    for number in itertools.count():
        output = f"{undisturbed.place}/processes-{number}"
        command = embed(undisturbed.source, output, undisturbed.weights, decode_in="processes")
        aim = draw_aim(generator, undisturbed.seconds, generator.choice(_PHASES))
        child = forks.start(*command, aim=dataclasses.replace(aim, is_alone=True))
        is_killed = child.wait().is_killed  # or it ended before
        until = time.monotonic() + _PATIENCE_S
        while left := [*_processes_of(child.number), *_shared_by(child.number)]:
            assert time.monotonic() < until, left
            time.sleep(0.05)
        command, _ = undisturbed.command(f"processes-{number}")  # in threads, which are ready sooner
        ended = forks.run(*command)
        assert ended.status == 0, ended.said
        assert content_of(output) == undisturbed.content, aim
        num_killed += is_killed
        if num_killed >= scaled(NUM_KILLS):
            break
    counted["kills beside decoding processes"] += num_killed


def _processes_of(session):
    """Returns the processes of a session that have not ended."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = path.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):  # ended a moment ago
            continue
        if int(number) == session and state != "Z":
            found.append(path.parent.name)
    return found


def _shared_by(process):
    """Returns the names of the shared memory of a process, semaphores included."""
    return [path.name for path in _SHARED.iterdir() if f"-{process}-" in path.name]
