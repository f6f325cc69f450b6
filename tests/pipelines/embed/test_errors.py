"""Errors on their way from a worker to the launcher, through the text that runners make of them."""

import sys
import traceback

import pytest

from lit_precompute.pipelines.embed.errors import (
    Cause,
    NotPublishedError,
    WorkerBugError,
    WorkerError,
    WorkerSourceError,
    in_words,
    located,
    without_stacks,
)
from lit_precompute.precompute.sources.source import SourceError


def _raised(error):
    """Returns what a runner gets to see of an error."""
    with (
        pytest.raises((WorkerError, WorkerBugError, WorkerSourceError)) as caught,
        located("rows 1 to 8 of a.tsv", "out"),
    ):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "words", "is_bug", "is_final"),
    [
        (FileExistsError(17, "File exists", "out/embeddings"), "out/embeddings: File exists", False, False),
        (ConnectionError("the store: gone"), "the store: gone", False, False),
        (SourceError("a.tsv: changed;\n start again."), "a.tsv: changed; start again", False, True),
        (KeyError("width"), "KeyError: 'width'", True, False),
        (ValueError("shapes (2,3)\nand (4,)"), "ValueError: and (4,)", True, False),
        (RuntimeError(), "RuntimeError:", True, False),
    ],
)
def test_the_sentence_is_found_in_whatever_a_runner_makes_of_it(error, words, is_bug, is_final):
    expected = Cause(f"rows 1 to 8 of a.tsv: {words}", is_bug=is_bug, is_final=is_final)
    raised = _raised(error)
    assert in_words(raised, "out") == expected
    stack = "".join(traceback.format_exception(raised)).rstrip("\n")
    for text in (
        f"{stack} [while running 'Embed']",
        f"Worker failed: \n{stack} [while running 'Embed-ptransform-31']\n",
    ):
        assert in_words(RuntimeError(text), "out") == expected


def test_an_error_of_the_runner_itself_is_its_last_line():
    found = in_words(RuntimeError("Pipeline failed\nin state FAILED\n"), "out")
    assert found == Cause("RuntimeError: in state FAILED", is_bug=True)
    denied = PermissionError(13, "Permission denied", "/tmp/x")
    assert in_words(denied, "out") == Cause("/tmp/x: Permission denied")


def test_a_sentence_that_says_all_is_left_as_it_is():
    with pytest.raises(NotPublishedError) as caught, located("publishing the dataset", "out"):
        raise NotPublishedError("2 shards are missing: 3, 5; run again")
    assert in_words(caught.value, "out") == Cause("2 shards are missing: 3, 5; run again", says_all=True)


def test_the_innermost_place_is_named():
    with pytest.raises(WorkerError, match=r"^rows 1 to 8: a: gone$"), located("unit 0", "out"):  # noqa: SIM117
        with located("rows 1 to 8", "out"):
            raise FileNotFoundError(2, "gone", "a")


def test_only_beams_stacks_are_kept_off_standard_error(capsys):
    stack = 'Traceback (most recent call last):\n  File "apache_beam/runners/common.py", line 1\nKeyError: 3\n'
    other = stack.replace("apache_beam", "my_tower")
    with without_stacks():
        print("before", file=sys.stderr)
        print(stack, file=sys.stderr)
        print(other, file=sys.stderr)
        print("\nafter", file=sys.stderr)
    assert capsys.readouterr().err == f"before\n{other}\n\nafter\n"
