"""Attempts at units: what is set aside, and what is attempted again."""

import pytest

from lit_precompute.pipelines.embed.directory.attempts import MAX_ATTEMPTS, Attempt, Attempts, SetAside
from lit_precompute.schemas.storage import open_folder


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    return open_folder(tmp_path if request.param == "disk" else f"memory://{tmp_path.name}")


def test_a_unit_whose_attempts_end_without_a_word_is_set_aside(folder):
    for number in range(1, MAX_ATTEMPTS + 1):
        assert Attempts(folder, f"launch {number}").begin(7) == Attempt(7, number)
    aside = Attempts(folder, "last").begin(7)
    assert isinstance(aside, SetAside) and aside.unit == 7
    assert "out of memory" in aside.why
    assert Attempts(folder, "last").begin(8) == Attempt(8, 1)


def test_errors_count_within_a_launch_and_are_forgiven_by_the_next(folder):
    """Dataflow attempts a bundle four times and then ends the job; a user who runs it again has mended something."""
    attempts = Attempts(folder, "first")
    for number in range(1, MAX_ATTEMPTS + 1):
        attempt = attempts.begin(0)
        assert attempt == Attempt(0, number)
        attempts.fail(attempt, f"the disk is full, {number}")
    assert attempts.begin(0) == SetAside(0, "the disk is full, 3")
    again = Attempts(folder, "second").begin(0)
    assert (again.number, again.order) == (1, 2)


def test_an_attempt_that_is_taken_back_does_not_count(folder):
    attempts = Attempts(folder, "launch")
    for _ in range(5):
        attempt = attempts.begin(3)
        assert attempt == Attempt(3, 1)
        attempts.forget(attempt)


def test_a_unit_whose_attempts_are_forgotten_is_attempted_again(folder):
    attempts = Attempts(folder, "launch")
    for _ in range(MAX_ATTEMPTS):
        attempts.begin(3)
    attempts.forget_unit(3)
    assert attempts.begin(3) == Attempt(3, 1)


def test_attempts_are_listed_with_what_the_last_one_said(folder):
    attempts = Attempts(folder, "launch")
    attempts.fail(attempts.begin(12), "no such bucket")
    attempts.begin(12)
    attempts.fail(attempts.begin(4), "permission denied")
    assert {unit: (found.number, found.error) for unit, found in attempts.find().items()} == {
        4: (1, "permission denied"),
        12: (2, ""),
    }
    assert {*attempts.find(without=[4])} == {12}


def test_a_long_attempt_gives_signs_of_life(folder):
    times = iter([100.0, 100.0, 160.0])
    attempts = Attempts(folder, "launch", clock=lambda: next(times))
    attempt = attempts.begin(5)
    assert attempts.find()[5][3:] == (100.0, 100.0, 0)
    attempts.give_sign(attempt, began=99.0, num_rows=640)
    assert attempts.find()[5][3:] == (99.0, 160.0, 640)
