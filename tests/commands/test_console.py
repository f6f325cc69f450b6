"""What the commands share."""

import errno
import logging
import pathlib

import pytest

from lit_precompute.commands.console import (
    card,
    duration,
    errors_as_messages,
    fail,
    is_debugging,
    make_console,
    take_debug_flag,
    writing_to,
)


@pytest.mark.parametrize(
    ("seconds", "words"), [(11.6, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7_620, "2 h 07 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_text_cannot_steer_the_terminal(capsys, monkeypatch):
    """Clearing the screen, colours by a single C1 character, a reversed line, half a character; emoji stay whole."""
    monkeypatch.setenv("COLUMNS", "200")
    console = make_console()
    console.print("a\x1b[2Jb \x9b31m \u202ecipher \udcff [bold] :smile:\nnext 👩‍👩‍👧‍👦 שלום")
    console.print(card([("name\x1b[31m", "value\x1b]0;title\x07!")]))
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == r"a\x1b[2Jb \x9b31m \u202ecipher \udcff [bold] :smile:"
    assert second == "next 👩‍👩‍👧‍👦 שלום"
    assert third.split() == [r"name\x1b[31m", r"value\x1b]0;title\x07!"]


def test_off_a_terminal_no_value_is_folded_cut_or_padded(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    digest, path = "0123456789abcdef" * 10, "gs://bucket/" + "folder/" * 40
    make_console().print(card([("digest", digest), ("path", path), ("rows", "3")]))
    assert capsys.readouterr().out == f"digest  {digest}\npath    {path}\nrows    3\n"


@pytest.mark.parametrize("error", [ValueError("no [such] tower"), FileNotFoundError("no [such] tower")])
def test_wrong_input_is_one_message_and_status_2(error, capsys):
    with pytest.raises(SystemExit) as end, errors_as_messages():
        raise error
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: no [such] tower\n"


def test_a_full_disk_is_status_1(capsys):
    with pytest.raises(SystemExit) as end, errors_as_messages():
        pathlib.Path("/dev/full").write_text("x")
    assert end.value.code == 1
    assert "No space left on device" in capsys.readouterr().err


def test_a_full_disk_that_no_file_is_named_for_is_that_of_the_output(tmp_path, capsys):
    with pytest.raises(SystemExit) as end, errors_as_messages(), writing_to(str(tmp_path / "out")):
        raise OSError(errno.ENOSPC, "Error writing bytes to file")
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: no space left on the file system at /") and said.endswith(
        f" writing {tmp_path}/out\n"
    )


@pytest.fixture
def debugging(monkeypatch):
    """Restores what the flag changes."""
    loggers = [logging.getLogger(), logging.getLogger("lit_precompute")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize("place", [1, 2])
def test_debug_shows_tracebacks_and_is_taken_from_the_arguments(debugging, capsys, place):
    arguments = ["lit-data", "info", "mine"]
    take_debug_flag(arguments)
    assert not is_debugging()
    arguments.insert(place, "--debug")
    take_debug_flag(arguments)
    assert arguments == ["lit-data", "info", "mine"] and is_debugging()
    with pytest.raises(SystemExit) as end, errors_as_messages():
        raise ValueError("no such tower")
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback") and said.endswith("ValueError: no such tower\nerror: no such tower\n")


def test_a_message_about_a_bug_comes_with_its_traceback(capsys):
    with pytest.raises(SystemExit):
        try:
            raise KeyError("width")
        except KeyError as error:
            fail(error, status=1, with_traceback=True)
    assert capsys.readouterr().err.endswith("KeyError: 'width'\nerror: 'width'\n")


def test_a_missing_package_of_the_extra_names_the_extra(capsys):
    with pytest.raises(SystemExit) as end, errors_as_messages():
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: tensorflow is not installed") and "pip install 'lit-precompute[embed]'" in said


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ModuleNotFoundError), errors_as_messages():
        raise ModuleNotFoundError("No module named 'jacks'", name="jacks")
    with pytest.raises(KeyError), errors_as_messages():
        raise KeyError("width")


def test_a_value_of_a_card_cannot_look_like_another_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    make_console().print(card([("tower", "a\nrows  99"), ("source", "b\tc")]))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [r"tower   a\nrows  99", r"source  b\tc"]
