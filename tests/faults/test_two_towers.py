"""Two towers in one pass, killed between the datasets and within them: each resumes, and `status` tells the truth."""

import collections
import itertools

import pytest

from lit_precompute.pipelines.embed.reporting.status import read_statuses
from lit_precompute.schemas.storage import open_folder
from tests.faults.jobs import NUM_UNITS, content_of, embed, embed_with
from tests.faults.points import draw_aim, seeded
from tests.pipelines.embed.second_tower import FOLDER, write_second_weights
from tests.pipelines.embed.second_tower import NAME as SECOND
from tests.towers.tiny_tower import NAME as FIRST

pytestmark = pytest.mark.slow

NUM_KILLS = {"disk": 20, "gs": 10, "s3": 10}
# Where the datasets differ: one has the shard, or the manifest, and the other not.
_PHASES = ("writing", "uploading", "publishing")


@pytest.fixture(scope="module")
def towers(weights, tmp_path_factory):
    return {FIRST: weights, SECOND: write_second_weights(tmp_path_factory.mktemp("second") / "second.npz")}


@pytest.fixture(scope="module")
def alone(undisturbed, towers, forks):
    """What a job of each tower alone leaves, by the folder of its dataset."""
    output = f"{undisturbed.place}/alone"
    ended = forks.run(*embed(undisturbed.source, output, towers[SECOND], tower=SECOND))
    assert ended.status == 0, ended.said
    return {FIRST: undisturbed.content, FOLDER: content_of(output)}


def test_killed_between_the_datasets_and_within_them_each_has_the_bytes_of_a_job_of_its_tower_alone(
    undisturbed, towers, alone, forks, seed, scaled, counted
):
    generator, killed = seeded(seed, "towers", undisturbed.kind), collections.Counter()
    seconds = {phase: undisturbed.seconds[phase] * 2 for phase in _PHASES}
    for job in itertools.count():
        output = f"{undisturbed.place}/towers-{job}"
        command = embed_with(towers, undisturbed.source, output)
        phase = min(_PHASES, key=lambda phase: (killed[phase], generator.random()))
        ended = forks.run(*command, aim=draw_aim(generator, seconds, phase))
        if ended.is_killed:
            killed[phase] += 1
            counted["kills with two towers that left one further"] += _check_status(output)
        ended = forks.run(*command)
        assert ended.status == 0, ended.said
        assert {folder: content_of(f"{output}/{folder}") for folder in alone} == alone
        if killed.total() >= scaled(NUM_KILLS[undisturbed.kind]):
            break
    counted["kills with two towers"] += killed.total()


def _check_status(output):
    """Checks what is said of the datasets against their files; returns whether one is further than the other."""
    before, found = None, []
    # A store may still be busy with the last request of the process that was killed.
    while (there := {*open_folder(output).find()}) != before:
        before, statuses = there, read_statuses(output)
    for status in statuses:
        own = status.output.removeprefix(f"{output}/") + "/"
        names = {name.removeprefix(own) for name in there if name.startswith(own)}
        is_finished = "manifest.json" in names
        done = {int(name[-10:-5]) for name in names if name.startswith("_work/shards/")}
        done = set(range(NUM_UNITS)) if is_finished else done
        assert status.state == ("finished" if is_finished else "unfinished")
        assert status.num_done == len(done)
        assert set(status.missing) == set(range(NUM_UNITS)) - done
        found.append((is_finished, done))
    assert len(found) == 2
    return found[0] != found[1]
