"""A job killed at any moment, on disk or in a store, is resumed by the same command and gives the same bytes."""

import collections
import itertools

import pytest

from tests.faults.jobs import content_of
from tests.faults.points import PHASES, Aim, draw_aim, seeded

pytestmark = pytest.mark.slow

NUM_KILLS = {"disk": 100, "gs": 50, "s3": 50}
# Some jobs are killed again and again.
_KILLS_OF_A_JOB = (1, 1, 2, 3)


def test_killed_at_random_points_of_each_phase_a_job_gives_the_bytes_of_an_undisturbed_run(
    undisturbed, forks, seed, scaled, counted
):
    generator, killed = seeded(seed, "kills", undisturbed.kind), collections.Counter()
    for job in itertools.count():
        command, output = undisturbed.command(f"killed-{job}")
        for kill in range(generator.choice(_KILLS_OF_A_JOB)):
            # A plan is stored once: only the first command of a job looks.
            phases = [phase for phase in PHASES if kill == 0 or phase != "looking"]
            phase = min(phases, key=lambda phase: (killed[phase], generator.random()))
            ended = forks.run(*command, aim=draw_aim(generator, undisturbed.seconds, phase))
            if ended.is_killed:
                assert ended.journal == {"reached": phase}
                killed[phase] += 1
            else:
                assert ended.status in (0, 1), ended.said  # it ended before, or a unit has been killed three times
        ended = forks.run(*command)
        if "were set aside" in " ".join(ended.said.split()):
            ended = forks.run(*command)
        assert ended.status == 0, ended.said
        assert content_of(output) == undisturbed.content
        if killed.total() >= scaled(NUM_KILLS[undisturbed.kind]) and set(killed) == set(PHASES):
            break
    counted.update({f"kills while {phase} ({undisturbed.kind})": count for phase, count in killed.items()})


def test_a_unit_that_kills_its_process_three_times_is_set_aside_and_the_next_command_attempts_it(undisturbed, forks):
    """Each time when the unit's attempt has been recorded: the first unit that a command attempts is the one before."""
    command, output = undisturbed.command("deadly")
    # The first image that is decoded is of the first unit without a shard.
    for _ in range(3):
        ended = forks.run(*command, aim=Aim("decoding", 1))
        assert ended.is_killed
        assert ended.journal == {"reached": "decoding"}
    ended = forks.run(*command)
    said = " ".join(ended.said.split())
    assert ended.status == 1, said
    assert "1 unit of 9 failed three times and were set aside: 0; unit 0 reads" in said
    assert "memory" in said
    markers = [name for name in content_of(output) if name.startswith("_work/shards/")]
    assert len(markers) == 8
    ended = forks.run(*command)
    assert ended.status == 0, ended.said
    assert content_of(output) == undisturbed.content
