"""Sweeps: bits of plain runs, what is read and compiled once, resuming after kills, failures as rows, evaluation."""

import csv
import dataclasses
import io
import json
import pathlib

import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.config.fields import with_values
from lit_precompute.tune.config.sweeping import make_points
from lit_precompute.tune.evaluation.retrieval import evaluate
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.optimizers import AdamOptions
from lit_precompute.tune.training import shared_work, trainer
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.sweep import Sweep
from lit_precompute.tune.training.sweep_plot import plot_sweep
from lit_precompute.tune.training.sweep_table import SweptRun
from tests.tune.small_runs import (
    EXECUTION,
    NUM_ROWS,
    NUM_WORDS,
    RECIPE,
    finish,
    has_checkpoint,
    kill_when,
    metric_lines,
    model_bytes,
    start,
    tower_card,
    train,
    write_dataset,
)

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it

SHORT = dataclasses.replace(RECIPE, num_steps=8)
RATES = {"optimizer.learning_rate": [3e-3, 1e-3], "seed": [0, 1]}


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture
def dataset(dataset_path):
    with EmbeddingDataset.open(dataset_path) as opened:
        yield opened


def sweep(dataset, output, axes=RATES, recipe=SHORT, execution=EXECUTION, **options):
    run_options = {name: options.pop(name) for name in ("report", "tell", "should_stop") if name in options}
    return Sweep(dataset, recipe, axes, output, execution=execution, **options).run(**run_options)


@pytest.fixture(scope="module")
def swept(dataset_path, tmp_path_factory):
    """The output of an uninterrupted sweep."""
    output = tmp_path_factory.mktemp("sweeps") / "sweep"
    with EmbeddingDataset.open(dataset_path) as opened:
        sweep(opened, output)
    return output


def assert_plain(dataset_path, output, runs):
    """Each run must be what `lit-tune` with its values makes."""
    for run in runs:
        plain = output.parent / f"plain-{run.name}"
        train(dataset_path, plain, with_values(SHORT, run.values))
        assert model_bytes(plain) == model_bytes(output / run.name), run.name
        assert metric_lines(plain) == metric_lines(output / run.name)


def test_runs_are_bitwise_those_of_plain_training(dataset_path, dataset, swept):
    """The first reads and compiles for itself, of the last one both had been done."""
    runs = [SweptRun(name=point.name, values=point.values) for point in make_points(SHORT, RATES)]
    assert len({model_bytes(swept / run.name) for run in runs}) == 4
    assert_plain(dataset_path, swept, [runs[0], runs[-1]])


@pytest.mark.parametrize(
    "axes",
    [
        {"text.max_tokens": [6, 4], "batch_size": [10]},
        {"image_side.standardise": [True, False], "batch_size": [16, 10]},
        {"optimizer.kind": ["adam"], "text_tower.depth": [2], "num_epochs": [1]},
    ],
    ids=["texts", "statistics", "kinds"],
)
def test_runs_that_read_something_else_are_plain_as_well(dataset_path, dataset, tmp_path, axes):
    assert_plain(dataset_path, tmp_path / "sweep", sweep(dataset, tmp_path / "sweep", axes).runs[-2:])


def test_runs_in_windows_are_plain_as_well(dataset_path, dataset, tmp_path):
    budget = dataclasses.replace(EXECUTION, memory_budget_bytes=6_000)
    result = sweep(dataset, tmp_path / "sweep", {"seed": [0, 1]}, execution=budget)
    for run in result.runs:
        train(dataset_path, tmp_path / run.name, with_values(SHORT, run.values), budget)
        assert json.loads((tmp_path / run.name / "run.json").read_text())["order"]["kind"] == "windows"
        assert model_bytes(tmp_path / run.name) == model_bytes(tmp_path / "sweep" / run.name)


def test_draws_of_fields_and_texts_are_those_of_plain_training(tmp_path):
    """The choice of texts and fields depends on the seed, of rows that another run has read as well."""
    texts = [[f"word{row % NUM_WORDS}", f"word{row % 7} word{row % 5}", f"word{row % 3}"] for row in range(NUM_ROWS)]
    path = write_dataset(tmp_path / "dataset", texts=texts)
    with EmbeddingDataset.open(path) as dataset:
        result = sweep(dataset, tmp_path / "sweep", {"seed": [3, 4]})
    assert_plain(path, tmp_path / "sweep", result.runs)


def test_held_out_rows_are_compared_by(dataset, tmp_path):
    result = sweep(dataset, tmp_path, {"seed": [0, 1], "data.held_out": [16]})
    assert result.measure == "minival_mean_recall"
    for run in result.runs:
        minival = TunedModel.load(run.model).training["minival"]
        assert run.figures["minival_loss"] == minival.pop("loss")
        assert run.figures["minival_text_to_image_recall_at_1"] == minival["text_to_image_R@1"]
        assert run.figures[result.measure] == pytest.approx(sum(minival.values()) / len(minival))


def test_equal_rows_are_read_once_and_equal_programs_compiled_once(dataset, tmp_path, monkeypatch):
    opened, compiled = [], []
    prepare = shared_work.prepare_inputs
    monkeypatch.setattr(shared_work, "prepare_inputs", lambda *given: opened.append(given) or prepare(*given))
    compile_one = shared_work.jax.stages.Lowered.compile
    monkeypatch.setattr(
        shared_work.jax.stages.Lowered, "compile", lambda lowered: compiled.append(lowered) or compile_one(lowered)
    )
    sweep(dataset, tmp_path / "sweep", {**RATES, "text.max_tokens": [6, 4]})
    assert len(opened) == 2  # for each number of tokens
    # Drawing the start compiles once for all rates and seeds, a step once for each rate.
    assert len(compiled) == 2 * (1 + 2)


def test_a_stopped_sweep_continues(dataset, swept, tmp_path):
    steps = []
    with pytest.raises(TrainingStopped):
        sweep(dataset, tmp_path, report=steps.append, should_stop=lambda: len(steps) > SHORT.num_steps)
    assert {(step.number, step.num_runs) for step in steps} == {(1, 4), (2, 4)}
    assert len([*tmp_path.glob("*/model")]) == 1
    sweep(dataset, tmp_path)
    for path in swept.glob("*/model"):
        assert model_bytes(tmp_path / path.parent.name) == model_bytes(path.parent)
    assert (tmp_path / "sweep.csv").read_bytes() == (swept / "sweep.csv").read_bytes()


def test_finished_runs_are_not_trained_again(dataset, swept, monkeypatch):
    monkeypatch.setattr(trainer.Trainer, "_prepare", lambda self: pytest.fail("trained again"))
    before = (swept / "sweep.json").read_bytes()
    told = []
    sweep(dataset, swept, tell=told.append)
    assert len(told) == 4
    assert (swept / "sweep.json").read_bytes() == before


def test_values_may_be_added(dataset, swept, tmp_path):
    sweep(dataset, tmp_path, {"optimizer.learning_rate": [3e-3], "seed": [0]})
    result = sweep(dataset, tmp_path)
    assert len(result.runs) == 4
    assert (tmp_path / "sweep.csv").read_bytes() == (swept / "sweep.csv").read_bytes()


@pytest.mark.slow
def test_a_killed_sweep_ends_in_the_same_bits(dataset_path, swept, tmp_path):
    flags = ["--sweep", "optimizer.learning-rate=3e-3,1e-3", "--sweep", "seed=0,1"]
    recipe = dataclasses.replace(SHORT, optimizer=RECIPE.optimizer)

    def begin():
        return start(dataset_path, tmp_path / "sweep", *flags, recipe=without_rate(recipe))

    second = tmp_path / "sweep" / "learning_rate=0.003,seed=1"
    process = begin()
    assert kill_when(process, has_checkpoint(second))
    finish(process)
    assert not (second / "model").exists()
    status, output, errors = finish(begin())
    assert status == 0, errors
    assert "best run" in output
    for path in swept.glob("*/model"):
        assert model_bytes(tmp_path / "sweep" / path.parent.name) == model_bytes(path.parent)
        assert metric_lines(tmp_path / "sweep" / path.parent.name) == metric_lines(path.parent)


def without_rate(recipe):
    """The demo's learning rate, so that no flag gives it."""
    return dataclasses.replace(recipe, optimizer=dataclasses.replace(recipe.optimizer, learning_rate=2e-3))


def test_plain_training_resumes_a_run_of_a_sweep(dataset_path, dataset, swept, tmp_path):
    steps = []
    with pytest.raises(TrainingStopped):
        sweep(dataset, tmp_path, report=steps.append, should_stop=lambda: len(steps) >= 4)
    name = "learning_rate=0.003,seed=0"
    train(dataset_path, tmp_path / name, with_values(SHORT, {"optimizer.learning_rate": 3e-3, "seed": 0}))
    assert model_bytes(tmp_path / name) == model_bytes(swept / name)


def test_a_run_that_is_not_finite_is_a_row_and_not_repeated(dataset, tmp_path, monkeypatch):
    recipe = dataclasses.replace(SHORT, optimizer=AdamOptions(clip_norm=None, warmup_steps=3))
    axes = {"optimizer.learning_rate": [1e30, 3e-3]}
    result = sweep(dataset, tmp_path, axes, recipe)
    good, bad = result.runs
    assert result.best == good
    assert (bad.name, bad.figures, bad.model) == ("learning_rate=1e+30", {}, None)
    assert "the same command would fail again" in bad.error.lower()
    plot_sweep(tmp_path, result)
    monkeypatch.setattr(trainer.Trainer, "_prepare", lambda self: pytest.fail("trained again"))
    assert sweep(dataset, tmp_path, axes, recipe) == result
    rows = [*csv.DictReader(io.StringIO((tmp_path / "sweep.csv").read_text(encoding="utf-8")))]
    assert [row["run"] for row in rows] == [good.name, bad.name]
    assert rows[1]["final_loss"] == "" and rows[1]["error"] == bad.error


def test_models_are_evaluated_once(dataset, tmp_path, monkeypatch):
    result = sweep(dataset, tmp_path, evaluate=dataset)
    assert result.measure == "mean_recall"
    for run in result.runs:
        found = evaluate(TunedModel.load(run.model), dataset)
        assert run.figures["image_to_text_recall_at_1"] == found.image_to_text[1].value
        assert run.figures["text_to_image_recall_at_5"] == found.text_to_image[5].value
        shares = [*found.image_to_text.values(), *found.text_to_image.values()]
        assert run.figures["mean_recall"] == pytest.approx(sum(share.value for share in shares) / 6)
    recalls = [run.figures["mean_recall"] for run in result.runs]
    assert recalls == sorted(recalls, reverse=True)
    monkeypatch.setattr(TunedModel, "load", lambda *_: pytest.fail("evaluated again"))
    assert sweep(dataset, tmp_path, evaluate=dataset) == result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "speed"}, "measure must be one of final_loss, mean_recall, image_to_text_recall_at_1"),
        ({"measure": "mean_recall"}, "measure mean_recall needs a dataset to evaluate on"),
        ({"measure": "minival_loss"}, "measure minival_loss needs rows that are held out; give --data.held-out"),
        ({"output": "gs://bucket/sweep"}, "gs://bucket/sweep"),
        ({"axes": {"batch_size": [16, 8]}, "execution": dataclasses.replace(EXECUTION, micro_batch_size=9)}, "got 9"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_written(dataset, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        sweep(dataset, **{"output": tmp_path / "sweep", **options})
    assert [*tmp_path.iterdir()] == []


def test_a_dataset_of_another_tower_is_refused_before_training(dataset, tmp_path):
    other = write_dataset(tmp_path / "other", tower=tower_card("a" * 64))
    with EmbeddingDataset.open(other) as another, pytest.raises(ValueError, match="its tower has the fingerprint aaaa"):
        sweep(dataset, tmp_path / "sweep", evaluate=another)
    assert not (tmp_path / "sweep").exists()


def test_a_run_that_cannot_start_is_named(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"batch_size=97: batch_size must be <= 96"):
        sweep(dataset, tmp_path, {"batch_size": [16, 97]})
    assert [run["name"] for run in json.loads((tmp_path / "sweep.json").read_text())["runs"]] == ["batch_size=16"]


def test_a_folder_of_something_else_is_refused(dataset_path, dataset, tmp_path):
    train(dataset_path, tmp_path / "run", SHORT)
    with pytest.raises(ValueError, match=r"do not belong to a sweep .*; give an empty --output, or that of a sweep"):
        sweep(dataset, tmp_path / "run")


def test_the_folder_of_another_run_is_refused(dataset, swept):
    with pytest.raises(ValueError, match=r"optimizer\.beta1 is 0\.9 there, 0\.8 was requested"):
        sweep(dataset, swept, recipe=with_values(SHORT, {"optimizer.beta1": 0.8}))
    assert pathlib.Path(swept / "sweep.json").exists()
