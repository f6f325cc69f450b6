"""`lit-tune plan`: the command line of lit-tune, and what it says."""

import json

import pytest

from lit_precompute import Criteria, EmbeddingDataset, select
from lit_precompute.commands.tune import main
from lit_precompute.commands.tune.plan import parse_plan
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.recipes import RECIPES
from tests.tune.small_runs import EXECUTION, NUM_ROWS, RECIPE, WIDTH, flags, write_dataset

pytestmark = pytest.mark.standard_promotion


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr("sys.argv", ["lit-tune", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


def test_a_row_of_the_paper_needs_no_dataset():
    name = "tab4-cc12m-LU-bit-50x1-bert-base-wp"
    arguments = parse_plan(["--recipe", name, "--micro-batch-size", "64"])
    assert (arguments.width, arguments.num_rows) == (2_048, 10_000_000 - 50_000)  # those of the minival
    assert arguments.recipe == RECIPES[name].recipe
    assert arguments.execution.micro_batch_size == 64


def test_other_recipes_need_a_width():
    with pytest.raises(OptionsError, match="--width must be given, the length of an embedding, or --dataset"):
        parse_plan(["--recipe", "demo"])
    arguments = parse_plan(["--recipe", "demo", "--width", "7", "--rows", "512"])
    assert (arguments.width, arguments.num_rows) == (7, 512)


def test_rows_are_those_that_are_trained_on(dataset_path, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        selection = select(dataset, Criteria(random=30))
    selection.save(tmp_path / "some.selection")
    given = ["--dataset", str(dataset_path), "--recipe", "demo", "--batch-size", "4"]
    assert parse_plan(given).num_rows == NUM_ROWS
    assert parse_plan([*given, "--data.held-out", "10"]).num_rows == NUM_ROWS - 10
    given += ["--selection", str(tmp_path / "some.selection")]
    assert parse_plan([*given, "--data.held-out", "10"]).num_rows == 30 - 10


@pytest.mark.parametrize("flag", ["--rows", "--width"])
def test_numbers_of_nothing_are_refused(flag):
    with pytest.raises(OptionsError, match=f"{flag} must be >= 1, got 0"):
        parse_plan(["--recipe", "demo", *(["--width", "7"] if flag == "--rows" else []), flag, "0"])


def test_a_plan_of_a_dataset_writes_nothing(monkeypatch, capsys, dataset_path, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = flags(RECIPE, EXECUTION, RECIPES["demo"])
    assert run(monkeypatch, "plan", "--dataset", dataset_path, "--output", "run", *given) == 0
    said = capsys.readouterr().out
    assert f"24 steps of 16 pairs: 384 examples, {384 / NUM_ROWS:g} epochs" in said
    assert "memory: total, at most" in said and "projected from these" in said
    assert [*tmp_path.iterdir()] == []


def test_json_for_programs(monkeypatch, capsys):
    given = flags(RECIPE, EXECUTION, RECIPES["demo"])
    assert run(monkeypatch, "plan", "--width", WIDTH, "--no-timed", "--json", *given) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["work"]["num_steps"] == 24
    assert content["memory"]["total"] >= content["memory"]["parameters"] + content["memory"]["data"]
    assert content["timed"] == []
