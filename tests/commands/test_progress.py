"""The progress display of every long command."""

import io

import pytest
import rich.console

from lit_precompute.commands.progress import ProgressDisplay


def _printed(terminal, shown, times_s=None):
    """Returns the output of calls to `show` at these times."""
    stream, now = io.StringIO(), iter(times_s or [0.0] * len(shown))
    console = rich.console.Console(file=stream, force_terminal=terminal, width=120)
    with ProgressDisplay(console, clock=lambda: next(now)) as display:
        for words, done, total, *task in shown:
            display.show(words, done, total, task=(task or [""])[0])
    return stream.getvalue()


def test_without_a_terminal_a_line_at_the_start_every_ten_seconds_and_at_the_end():
    steps = [1, 2, 3, 4, 5, 5_000]
    shown = [(f"step {step}", step, 5_000) for step in steps]
    assert _printed(False, shown, [0.0, 1.0, 9.0, 10.0, 11.0, 12.0]).splitlines() == ["step 1", "step 4", "step 5000"]


def test_each_task_has_its_own_lines():
    shown = [("a 1", 1, 3, "a"), ("a 2", 2, 3, "a"), ("b 5", 5, None, "b"), ("b 6", 6, None, "b")]
    assert _printed(False, shown) == "a 1\nb 5\n"


def test_the_end_is_said_once_unless_the_task_begins_again():
    shown = [("1/2", 1, 2), ("2/2", 2, 2), ("2/2", 2, 2), ("1/2", 1, 2), ("2/2 again", 2, 2)]
    assert _printed(False, shown) == "1/2\n2/2\n2/2 again\n"


def test_on_a_terminal_a_bar_for_each_task():
    said = _printed(True, [("fetching [a]", 1, 3, "a"), ("fetching b", 1, None, "b")])
    assert "fetching [a]" in said and "fetching b" in said
    assert "━" in said


@pytest.mark.parametrize("terminal", [True, False])
def test_no_task_prints_nothing(terminal):
    assert _printed(terminal, []) == ""
