"""Several attempts at one output: two launchers at once, and zombies that finish when all is published."""

import collections
import itertools
import signal

import pytest

from tests.faults.jobs import content_of
from tests.faults.points import PHASES, draw_aim, seeded

pytestmark = pytest.mark.slow

NUM_ZOMBIES = {"disk": 50, "gs": 25, "s3": 25}
NUM_PAIRS = 10


def test_a_zombie_that_finishes_after_the_publication_changes_nothing_and_leaves_nothing(
    undisturbed, forks, seed, scaled, counted
):
    generator, stopped = seeded(seed, "zombies", undisturbed.kind), collections.Counter()
    for number in itertools.count():
        command, output = undisturbed.command(f"zombie-{number}")
        phase = min(PHASES, key=lambda phase: (stopped[phase], generator.random()))
        aim = draw_aim(generator, undisturbed.seconds, phase, signal.SIGSTOP)
        zombie = forks.start(*command, aim=aim)
        if zombie.wait().status is not None:
            continue  # it ended before
        stopped[phase] += 1
        ended = forks.run(*command)
        assert ended.status == 0, ended.said
        assert content_of(output) == undisturbed.content, aim
        zombie.send(signal.SIGCONT)
        ended = zombie.wait()
        assert ended.status == 0, (aim, ended.said)
        assert content_of(output) == undisturbed.content, aim
        # Small counts hit other phases in each kind of place.
        if stopped.total() >= scaled(NUM_ZOMBIES[undisturbed.kind]):
            break
    counted.update({f"zombies stopped while {phase}": count for phase, count in stopped.items()})


def test_two_launchers_at_once_give_the_bytes_of_one(undisturbed, forks, seed, scaled, counted):
    generator = seeded(seed, "pairs", undisturbed.kind)
    for number in range(scaled(NUM_PAIRS)):
        command, output = undisturbed.command(f"pair-{number}")
        # The second begins when the first is anywhere in its work.
        aim = draw_aim(generator, undisturbed.seconds, generator.choice(PHASES), signal.SIGSTOP)
        first = forks.start(*command, aim=aim)
        ended = first.wait()
        second = forks.start(*command)
        if ended.status is None:
            first.send(signal.SIGCONT)
            ended = first.wait()
        other = second.wait()
        assert (ended.status, other.status) == (0, 0), (aim, ended.said, other.said)
        assert content_of(output) == undisturbed.content, aim
        counted["launchers at once"] += 2
