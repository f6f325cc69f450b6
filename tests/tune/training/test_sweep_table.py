"""The table of a sweep: order, means over seeds against SciPy, and its files."""

import csv
import io
import json
import pathlib

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from lit_precompute.tune.training.sweep_table import SweptRun, choose_measure, lower_is_better, tabulate, write_table

RATES, SEEDS = (1e-3, 1e-4), (0, 1, 2)
RECALL = "mean_recall"


def run(rate, seed, recall, loss=1.0, **options):
    values = {"optimizer.learning_rate": rate, "seed": seed}
    figures = {"final_loss": loss, RECALL: recall}
    name = f"learning_rate={rate},seed={seed}"
    return SweptRun(name=name, values=values, figures=figures, model=pathlib.Path(f"out/{name}/model"), **options)


RUNS = [run(rate, seed, 0.3 * (rate == 1e-4) + 0.1 * seed, 2 - 0.1 * seed) for rate in RATES for seed in SEEDS]
FAILED = SweptRun(name="bad", values={"optimizer.learning_rate": 1.0, "seed": 0}, error="step 1: the loss is inf, say")


def test_a_loss_is_better_when_lower():
    assert lower_is_better("final_loss") and not lower_is_better(RECALL)


@pytest.mark.parametrize(
    ("evaluates", "holds_out", "measure"),
    [(True, True, RECALL), (True, False, RECALL), (False, True, f"minival_{RECALL}"), (False, False, "final_loss")],
)
def test_the_default_measure_is_one_that_all_runs_have(evaluates, holds_out, measure):
    assert choose_measure(None, evaluates=evaluates, holds_out=holds_out) == measure
    assert choose_measure(measure, evaluates=evaluates, holds_out=holds_out) == measure


def test_the_best_run_is_first_and_failed_ones_are_last():
    result = tabulate([FAILED, *RUNS], RECALL)
    assert [run.figures.get(RECALL) for run in result.runs] == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1, 0.0, None])
    assert result.best == RUNS[5]
    by_loss = tabulate([FAILED, *RUNS], "final_loss")
    assert [run.figures.get("final_loss") for run in by_loss.runs] == pytest.approx([1.8, 1.8, 1.9, 1.9, 2, 2, None])
    assert by_loss.best == RUNS[2]  # equal ones in the sweep's order


def test_means_over_seeds_are_best_first_with_students_intervals():
    result = tabulate([FAILED, *RUNS], RECALL)
    assert [each.values["optimizer.learning_rate"] for each in result.over_seeds] == [1e-4, 1e-3, 1.0]
    best = result.over_seeds[0]
    values = [run.figures[RECALL] for run in RUNS[3:]]
    expected = (np.mean(values), *ttest_1samp(values, 0).confidence_interval(0.95))
    np.testing.assert_allclose(best.figures[RECALL], expected, rtol=1e-9)
    assert [each.count for each in result.over_seeds] == [3, 3, 0]
    assert result.over_seeds[2].figures == {}


def test_without_seeds_there_are_no_means():
    runs = [SweptRun(name="a", values={"batch_size": 8}, figures={"final_loss": 1.0})]
    assert tabulate(runs, "final_loss").over_seeds == []


def test_of_failed_runs_none_is_best():
    assert tabulate([FAILED], "final_loss").best is None


def test_the_files_say_all(tmp_path):
    write_table(tmp_path, tabulate([FAILED, *RUNS[:2]], RECALL), {"dataset": "d" * 64})
    content = json.loads((tmp_path / "sweep.json").read_text())
    assert (content["dataset"], content["best"], content["measure"]) == ("d" * 64, RUNS[1].name, RECALL)
    assert content["runs"][0]["model"] == f"{RUNS[1].name}/model"
    assert content["over_seeds"][0]["figures"][RECALL]["mean"] == pytest.approx(0.05)
    rows = [*csv.DictReader(io.StringIO((tmp_path / "sweep.csv").read_text()))]
    assert [*rows[0]] == ["run", "learning_rate", "seed", "final_loss", RECALL, "error"]
    assert float(rows[0][RECALL]) == RUNS[1].figures[RECALL]
    assert rows[2]["error"] == "step 1: the loss is inf, say"


def test_a_single_seed_has_a_mean_without_an_interval(tmp_path):
    write_table(tmp_path, tabulate(RUNS[:1], RECALL), {})
    content = json.loads((tmp_path / "sweep.json").read_text())  # no Infinity, which is no JSON
    assert content["over_seeds"][0]["figures"]["final_loss"] == {"mean": 2.0, "interval_95": None}
