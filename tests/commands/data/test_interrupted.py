"""Ctrl-C ends each command of lit-data with one message and status 130, also those that only look."""

import signal
import sys

import pytest

from lit_precompute.commands import data
from lit_precompute.commands.progress import ProgressDisplay
from tests.schemas.making import write


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "d"),
        ("compare", "d", "d"),
        ("copy", "d", "out"),
        ("repair", "d", "--from", "d"),
        ("select", "d", "--label", "3", "--output", "out.selection"),
        ("shuffle", "d", "--output", "out"),
        ("export", "npy", "d", "--output", "out"),
        ("publish", "d", "hf://datasets/me/d", "--dry-run", "--folder", "out"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_is_one_message(tmp_path, monkeypatch, capsys, command, number):
    write(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ProgressDisplay, "show", lambda *_, **__: signal.raise_signal(number))
    monkeypatch.setattr(sys, "argv", ["lit-data", *command])
    with pytest.raises(SystemExit) as end:
        data.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (130, "")
    assert err.startswith("error: interrupted; ") and "run the same command again" in err
    assert err.count("\n") == 1
