"""Arguments as they were typed."""

import re

import pytest

from lit_precompute.commands import data, evaluate, tune
from lit_precompute.commands import embed as embedding
from lit_precompute.commands.arguments import check_rows, expand_homes, refuse_repeated, stray_words


def test_a_home_folder_that_the_shell_left_is_put_in(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    arguments = [
        "lit-embed",
        "--output=~/o",
        "~/data/*.tar",
        "~",
        "--text-column=~x",
        "~ada",
        "a~/b",
        "--x",
        "gs://b/~/a",
    ]
    expand_homes(arguments)
    assert arguments == [
        "lit-embed",
        "--output=/home/ada/o",
        "/home/ada/data/*.tar",
        "/home/ada",
        *["--text-column=~x", "~ada", "a~/b", "--x", "gs://b/~/a"],
    ]


def test_a_flag_is_given_once():
    refuse_repeated(
        ["run", "--source", "a", "--text-column=b", "--experiments=a", "--experiments=b"], ["--experiments=a"] * 2
    )
    with pytest.raises(ValueError, match=r"^--source is given 2 times, and only one would count; give it once$"):
        refuse_repeated(["run", "--source", "a", "--source=b"])
    with pytest.raises(ValueError, match="--rows is given 2 times"):
        refuse_repeated(["select", "d", "--range", "0", "9", "--rows", "0", "5"])
    with pytest.raises(ValueError, match="--batch-size is given 3 times"):
        refuse_repeated(["--batch-size", "4", "--batch_size=4", "--batch-size", "5"])
    with pytest.raises(ValueError, match="--gather is given 2 times"):
        refuse_repeated(["--gather", "--no-gather"])


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (embedding, "lit-embed run --source a --source b --tower t --output o"),
        (embedding, "lit-embed inspect a --rows 1 --rows 2"),
        (data, "lit-data info a --json --no-json"),
        (evaluate, "lit-eval retrieval --model a --model b --dataset d"),
        (tune, "lit-tune --dataset a --output o --batch-size 4 --batch_size 8"),
    ],
)
def test_every_command_refuses_a_repeated_flag(monkeypatch, capsys, command, arguments):
    monkeypatch.setattr("sys.argv", arguments.split())
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert "is given 2 times, and only one would count; give it once" in capsys.readouterr().err


def test_words_of_no_flag_are_most_likely_a_pattern_that_the_shell_took_apart():
    assert stray_words(["b.tar", "c.tar", "d.tar"]).startswith(
        "b.tar and 2 more: an argument too many; put a pattern in quotes"
    )
    assert stray_words(["b.tar", "--batchsize", "4"]).startswith("b.tar: an argument too many; put a pattern in quotes")
    assert stray_words(["--batchsize", "4"]) == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("select d --rows 5 --output a.selection", "--rows 5: must be two numbers, .*; --range 0 5 selects"),
        ("select d --range=7", "--range 7: must be two numbers, .*; --range 0 7 selects"),
        (
            "select d --rows 3-9",
            "--rows 3-9: must be two numbers, .*; --range 3 9 selects the rows from 3 on and before 9",
        ),
        ("copy d out --rows 0 10", "--rows 0 10: lit-data copy takes a number .*--range 0 10 --output FILE.selection"),
        ("copy d out --rows=5:10", "--rows 5:10: lit-data copy takes a number .*--range 5 10"),
        ("probe d --range 0 10 --source s", "--range 0 10: lit-data probe takes a number"),
    ],
)
def test_ranges_and_numbers_of_rows_are_told_apart(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr("sys.argv", ["lit-data", *arguments.split()])
    with pytest.raises(SystemExit) as end:
        data.main()
    assert end.value.code == 2
    assert re.search(words, capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        "select d --rows 0 5",
        "select d --range 0 5 --random 3",
        "copy d --rows 10 out",
        "copy d out --rows=10",
        "copy d --rows 10 ./20",
        "info",
        "",
    ],
)
def test_rows_as_a_command_takes_them(arguments):
    check_rows(["lit-data", *arguments.split()])
