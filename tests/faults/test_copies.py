"""A copy that is killed at any moment, on disk or in a store: run again it is the same dataset, and never half one."""

import time

import pytest

from lit_precompute.schemas import DatasetError, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.schemas.storage import open_folder
from tests.faults.jobs import content_of
from tests.faults.points import seeded
from tests.schemas.making import write

pytestmark = pytest.mark.slow

NUM_KILLS = 50


def _is_complete(url):
    try:
        Manifest.read(url)
    except DatasetError:
        return False
    return True


@pytest.mark.parametrize("given", [[], ["--rows", "31"]], ids=["whole", "part"])
def test_killed_at_random_moments_a_copy_is_never_half_read_and_in_the_end_the_same(
    undisturbed, forks, seed, scaled, counted, given
):
    source = f"{undisturbed.place}/copied"
    if not open_folder(source).exists("manifest.json"):
        write(source)
    generator = seeded(seed, "copies", undisturbed.kind, *given)
    started = time.monotonic()
    first = f"{undisturbed.place}/copy{len(given)}"
    assert forks.run("lit-data", "copy", source, first, *given).status == 0
    seconds, expected = time.monotonic() - started, content_of(first)
    num_killed = attempt = 0
    while num_killed < scaled(NUM_KILLS):
        target = f"{first}-{attempt}"
        attempt += 1
        for _ in range(generator.choice((1, 2, 3))):
            child = forks.start("lit-data", "copy", source, target, *given, "--threads", "2")
            time.sleep(generator.uniform(0, seconds))
            child.send(9)
            num_killed += child.wait().is_killed
            if _is_complete(target):  # the note of the copy may still be there
                assert [fault for fault in verify(target) if "/_work/" not in fault] == []
        ended = forks.run("lit-data", "copy", source, target, *given)
        assert ended.status == 0, ended.said
        assert content_of(target) == expected
    counted[f"kills while copying ({undisturbed.kind})"] += num_killed


def test_two_copies_into_one_place_at_once_do_no_harm(undisturbed, forks):
    source = f"{undisturbed.place}/copied"
    if not open_folder(source).exists("manifest.json"):
        write(source)
    target = f"{undisturbed.place}/copied-by-two"
    children = [forks.start("lit-data", "copy", source, target) for _ in range(2)]
    for child in children:
        ended = child.wait()
        assert ended.status == 0, ended.said
    assert content_of(target) == content_of(source)
