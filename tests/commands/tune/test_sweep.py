"""`lit-tune --sweep` as a user sees it: output, files, error messages and exit statuses."""

import dataclasses
import re
import sys

import pytest

from lit_precompute.commands import tune as command_line
from lit_precompute.commands.tune.flags import parse
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.recipes import RECIPES
from tests.tune.small_runs import EXECUTION, RECIPE, flags, write_dataset

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it

# The demo's learning rate, and no clipping, so that a large rate overflows.
_OPTIMIZER = dataclasses.replace(RECIPES["demo"].recipe.optimizer, warmup_steps=3, clip_norm=None)
FLAGS = flags(dataclasses.replace(RECIPE, num_steps=6, optimizer=_OPTIMIZER), EXECUTION, RECIPES["demo"])


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture
def lit_tune(monkeypatch, capsys, dataset_path, tmp_path):
    """Runs lit-tune in this process on the small dataset; returns its exit status, output and errors."""

    def run(*arguments):
        words = ["lit-tune", "--dataset", dataset_path, "--output", str(tmp_path / "out"), *FLAGS, *arguments]
        monkeypatch.setattr(sys, "argv", words)
        status = 0
        try:
            command_line.main()
        except SystemExit as end:
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_sweep_says_which_run_is_best_and_where_it_is(lit_tune, dataset_path, tmp_path):
    axes = ["--sweep", "optimizer.learning-rate=2e-3,1e-3", "--sweep=seed=0,1"]
    status, output, errors = lit_tune(*axes, "--evaluate", dataset_path)
    assert (status, errors) == (0, "")
    assert "a sweep of 4 runs: 2 values of optimizer.learning_rate, 2 values of seed" in output
    assert re.search(r"1/4 learning_rate=0\.002,seed=0  step 1/6  loss", output)
    assert re.search(r"learning_rate=0\.002,seed=0: final loss \d\.\d{4}, mean recall \d+\.\d+%", output)
    assert re.search(r"│ +0\.001 │ +2 │ +\d\.\d{4} \(-?\d+\.\d{4} to \d+\.\d{4}\)", output)  # over two seeds
    (best,) = re.findall(r"^best run +(\S+), mean recall", output, re.MULTILINE)
    (model,) = re.findall(r"^model +(\S+)$", output, re.MULTILINE)
    assert model == f"{tmp_path}/out/{best}/model"
    TunedModel.load(model)
    assert (tmp_path / "out/sweep.png").read_bytes().startswith(b"\x89PNG")
    again = lit_tune(*axes, "--evaluate", dataset_path)
    assert again[0] == 0 and "step" not in again[1]
    assert again[1].splitlines()[-12:] == output.splitlines()[-12:]


def test_a_run_that_fails_is_a_row_and_a_sweep_of_them_fails(lit_tune):
    status, output, _ = lit_tune("--sweep", "optimizer.learning_rate=1e30,2e-3")
    assert status == 0
    assert re.search(
        r"^learning_rate=1e\+30: failed: step \d: .* The same command would fail again", output, re.MULTILINE
    )
    assert re.search(r"│ +1e\+30 │ +failed │", output)
    assert "best run  learning_rate=0.002, final loss" in output


def test_a_sweep_of_failures_has_status_1(lit_tune):
    status, _, errors = lit_tune("--sweep", "optimizer.learning_rate=1e30")
    assert status == 1
    assert re.search(r"error: all runs of the sweep failed; .*/out/sweep\.csv says why", errors)


def test_two_durations_are_refused():
    given = ["--dataset", "d", "--output", "o", "--num-steps", "30", "--sweep", "num_epochs=1,2"]
    with pytest.raises(OptionsError, match="--num-steps says how long to train, and so does --num-epochs in --sweep"):
        parse(given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sweep", "sede=1"], "sede is not a field of the recipe: a recipe has data, text, "),
        (["--sweep", "seed=one"], "seed must be of type int, got 'one'"),
        (["--sweep", "seed=1", "--sweep", "seed=2"], "--sweep seed is given twice; give it once, with all values"),
        (["--sweep", "batch-size=8"], "--batch-size is given twice, as a flag and in --sweep"),
        (["--sweep", "optimizer.beta1=0.5,1"], "beta1=1.0: optimizer.beta1 must be in [0, 1), got 1.0"),
        (["--sweep", f"seed={','.join(map(str, range(1_001)))}"], "a sweep has at most 1,000 runs, got 1,001"),
        (["--measure", "final_loss"], "--measure is of a sweep; give --sweep, too"),
        (["--evaluate", "somewhere"], "--evaluate is of a sweep; give --sweep, too, or use lit-eval"),
        (["--sweep", "seed=1", "--measure", "speed"], "measure must be one of final_loss, mean_recall, "),
        (["--sweep", "seed=1", "--evaluate", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_message_and_leaves_nothing(lit_tune, tmp_path, arguments, message):
    status, _, errors = lit_tune(*arguments)
    assert status == 2
    assert errors.startswith("error: ") and message in errors
    assert not (tmp_path / "out").exists()
