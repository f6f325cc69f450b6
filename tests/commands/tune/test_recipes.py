"""`lit-tune recipes`: the list, one recipe, files, and training by them."""

import dataclasses
import json
import re

import pytest

from lit_precompute.commands.tune import main
from lit_precompute.commands.tune.flags import parse
from lit_precompute.tune.recipes import RECIPES

NAME = "tab5-yfcc-LU-vit-b32-mt5-base-sp"
PLACES = ["--dataset", "d", "--output", "o"]


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr("sys.argv", ["lit-tune", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_list_has_the_short_recipes_and_all_rows_with_their_figures(monkeypatch, capsys):
    assert run(monkeypatch, "recipes") == 0
    said = capsys.readouterr().out
    assert re.search(r"^demo +a thousand or two images", said, re.MULTILINE)
    assert re.search(
        r"^tab1-ours-Lu-vit-g14-288-vit-giant-sp +18,200 M +AdaF +0.001 +0 +84.5 +37.4 +54.5 +text$", said, re.M
    )
    assert re.search(r"^fig1-clip-uu-vit-b32-bert-base-wp .* 42.1 +17.9 +31.1 +both: not here$", said, re.MULTILINE)
    assert "47 rows of the paper's Table 10, of which 43 can be trained here" in said


def test_a_pattern_filters_the_list(monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "tab5-*") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("-")[0] for line in lines[1:-2]] == ["tab5"] * 8
    assert run(monkeypatch, "recipes", "zz*") == 2
    assert "no recipe's name matches 'zz*'; `lit-tune recipes` lists all of them" in capsys.readouterr().err
    assert run(monkeypatch, "recipes", "shwo") == 2
    assert "no recipe's name matches 'shwo'; did you mean 'show'? `lit-tune recipes`" in capsys.readouterr().err


def test_the_list_as_json(monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "*", "--json") == 0
    cards = {card["name"]: card for card in json.loads(capsys.readouterr().out)}
    assert len(cards) == 50
    assert cards["demo"]["published"] == {}
    assert cards[NAME]["published"] == {"imagenet": 59.3, "text_to_image": 17.4, "image_to_text": 28.7}
    assert sum(not card["is_trained_here"] for card in cards.values()) == 4


def test_a_recipe_is_shown_with_sources_figures_errors_and_commands(monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "show", NAME) == 0
    said = capsys.readouterr().out
    assert re.search(r"^optimizer.learning_rate +0.0008 +Table 10$", said, re.MULTILINE)
    assert re.search(r"^optimizer.warmup_steps +2,000 +appendix B$", said, re.MULTILINE)
    assert re.search(r"^loss.initial_scale +10 +not in the paper: big_vision's$", said, re.MULTILINE)
    assert "published: 59.3% ImageNet zero-shot; MSCOCO recall at 1: 17.4% text to image, 28.7% image to text" in said
    assert "note: text is t5-base in Table 10, mt5-base here: it starts from mt5" in said
    assert "note: dataset is YFCC in Table 10, CLIP here: section 5.5" in said
    assert (
        "lit-embed run --source SOURCE --tower vit_b32-augreg_in21k --resize square --views 60 "
        "--named-text title=title description=description tags=tags --output EMBEDDED\n"
        f"lit-tune --recipe {NAME} --dataset EMBEDDED --output RUN\n"
    ) in said


def test_a_recipe_as_json_has_every_value_with_its_source(monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "show", NAME, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["recipe"] == RECIPES[NAME].recipe.to_json()
    assert {"path": "batch_size", "value": 16384, "source": "appendix B"} in shown["values"]
    assert [erratum["field"] for erratum in shown["errata"]] == ["text", "dataset"]
    assert shown["published"]["imagenet"] == 59.3


def test_short_recipes_are_shown_too(monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "show", "demo") == 0
    assert re.search(r"^batch_size +512 +chosen on the demo's training rows$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("command", [["recipes", "show"], ["recipes", "new", "x.toml", "--from"]])
def test_a_row_that_trains_the_image_tower_is_refused(monkeypatch, capsys, command):
    assert run(monkeypatch, *command, "tab2-ours-uu-vit-b32-vit-base-sp") == 2
    said = capsys.readouterr().err
    assert "trains the image tower (uu), which is locked here: its embeddings are stored once" in said
    assert "the closest locked recipe is tab2-ours-Lu-vit-b32-vit-base-sp\n" in said


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_file_gives_the_defaults_of_the_flags(monkeypatch, capsys, tmp_path, ending):
    file = tmp_path / f"mine.{ending}"
    assert run(monkeypatch, "recipes", "new", file, "--from", NAME) == 0
    assert f"the values of {NAME}; train it with lit-tune --recipe {file}" in capsys.readouterr().out
    named = RECIPES[NAME]
    parsed = parse(["--recipe", str(file), *PLACES])
    assert (parsed.recipe, parsed.execution) == (named.recipe, named.execution)
    changed = parse([f"--recipe={file}", *PLACES, "--seed", "5", "--micro-batch-size", "64"])
    assert changed.recipe == dataclasses.replace(named.recipe, seed=5)
    assert changed.execution == dataclasses.replace(named.execution, micro_batch_size=64)
    assert run(monkeypatch, "recipes", "new", file) == 2
    assert f"mine.{ending} exists already; choose another name, or remove it" in capsys.readouterr().err


def test_a_written_file_says_the_sources(monkeypatch, tmp_path):
    assert run(monkeypatch, "recipes", "new", tmp_path / "mine.toml", "--from", NAME) == 0
    said = " ".join((tmp_path / "mine.toml").read_text(encoding="utf-8").replace("\n# ", " ").splitlines())
    assert "at the schedule's peak. [Table 10] learning_rate = 0.0008" in said
    assert "steps of linear warm-up. [appendix B] warmup_steps = 2000" in said
