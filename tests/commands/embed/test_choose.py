"""`lit-embed choose` as a user sees it: flags, the table, JSON and mistakes; tests/choosing has what it computes."""

import json

import pytest

from lit_precompute.choosing import choosing
from lit_precompute.commands.console import make_console
from lit_precompute.commands.embed.choose_table import show
from lit_precompute.pipelines.embed.following import EmbedStopped
from lit_precompute.tune.training.failures import TrainingError
from lit_precompute.tune.training.progress import TrainingStopped
from tests.choosing.results import BEST, FAR, NEAR, choice, tower
from tests.commands.test_help import help_of
from tests.pipelines.embed.making import run

FLAGS = ("--source", "captions.tsv?text=caption", "--towers", "a,b@w.npz", "--output", "out")


@pytest.fixture
def asked(monkeypatch):
    """Has the command ask a function that returns a known result, or raises what is put into `error`."""
    seen = {}

    def choose_tower(options, **more):
        seen.update(more, options=options)
        if "error" in seen:
            raise seen["error"]
        return choice(BEST, NEAR, FAR)

    monkeypatch.setattr(choosing, "choose_tower", choose_tower)
    return seen


def test_the_table_is_best_first_and_says_what_follows(capsys):
    failed = tower("own", 0, 1.0, error="step 3: the loss is not finite")
    show(choice(BEST, NEAR, FAR, failed), make_console())
    lines = capsys.readouterr().out.splitlines()
    assert "sample       2,000 rows of captions.tsv, drawn over all of it" in lines
    assert "tuned        a small text tower, on 1,500 rows; 3 trainings a tower" in lines
    assert "held out     500 rows with 600 texts; R@5 by chance 1.0%" in lines
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    costs, recalls = cells[:4], cells[4:]
    assert costs[0] == ["large", "768", "86.0 M", "224", "50.0", "not known", "not known", "", "30 h 00 min"]
    assert [line[0] for line in costs] == ["large", "base", "small", "own"]
    assert recalls[0] == ["large", "both ways", *["40.0% (37 to 43)"] * 3, "best"]
    assert recalls[3] == ["base", "both ways", *["39.0% (36 to 42)"] * 3, "-1.0 points, -3.0 to +1.2"]
    assert [line[1] for line in recalls[6:]] == ["both ways", "image -> text", "text -> image"] and len(recalls) == 9
    assert "own: a training failed: step 3: the loss is not finite" in lines
    assert "verdict  base: its R@5 cannot be told from that of the best, large" in "\n".join(lines)
    assert lines[-2:] == ["  - a note", "plot  out/choose.png   all figures  out/choose.json"]


def test_a_sample_that_is_smaller_than_asked_for_is_said_to_be(capsys):
    show(choice(BEST, NEAR, num_rows=1603), make_console())
    assert "1,603 rows of captions.tsv, which are fewer than 2,000" in capsys.readouterr().out


def test_flags_become_options(monkeypatch, capsys, asked):
    more = (
        "--rows",
        "500",
        "--held-out",
        "100",
        "--trainings",
        "5",
        "--text-tower",
        "t",
        "--rate",
        "9,8",
        "--seed",
        "7",
    )
    assert run(monkeypatch, "choose", *FLAGS, *more, "--machine_type=n2-standard-16", "--decode-workers", "3") == 0
    options = asked["options"]
    assert (options.source.path, options.source.columns.text) == ("captions.tsv", "caption")
    assert (options.rows, options.held_out, options.trainings, options.seed) == (500, 100, 5, 7)
    assert (options.towers, options.text_tower, options.output) == ("a,b@w.npz", "t", "out")
    assert options.decoding.decode_workers == 3
    assert (asked["rates"], asked["beam_flags"], asked["prices"]) == ("9,8", ["--machine_type=n2-standard-16"], None)
    assert "verdict  base:" in capsys.readouterr().out


def test_json_is_alone_on_standard_output(monkeypatch, capsys, asked):
    assert run(monkeypatch, "choose", *FLAGS, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(choice(BEST, NEAR, FAR).to_json()))


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (EmbedStopped(is_hanging=False), 130, "interrupted; what is done is kept: run the same command again"),
        (TrainingStopped(7), 130, "interrupted; what is done is kept: run the same command again"),
        (TrainingError("the disk is full"), 1, "error: the disk is full"),
        (ValueError("too few rows"), 2, "error: too few rows"),
    ],
)
def test_an_end_before_the_result_is_one_message(monkeypatch, capsys, asked, error, status, message):
    asked["error"] = error
    assert run(monkeypatch, "choose", *FLAGS) == status
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("--source", "captions.tsv", "--towers", "vit_b16"), "--towers vit_b16: give at least two to choose from"),
        (("--source", "captions.tsv", "--towers", "vit_b16,vit_c16"), "vit_c16"),
        (("--source", "captions.tsv", "--towers", "vit_b16,vit_l16", "--rate", "1,2,3"), "--rate: one number, or one"),
        (
            ("--source", "captions.tsv", "--towers", "vit_b16,vit_l16", "--prices", "gone.toml"),
            "gone.toml: No such file",
        ),
        (("--source", "captions.tsv", "--towers", "vit_b16,vit_l16", "--machine_tpe=x"), "--machine_tpe=x"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(monkeypatch, capsys, tmp_path, command, message):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "choose", *command) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_teaches(monkeypatch, capsys):
    said = help_of(monkeypatch, capsys, "embed", "choose")
    assert "lit-embed choose --source images/captions.tsv --towers facebook/dinov2-base,google/siglip" in said
    assert "they name the machine that is priced" in said
