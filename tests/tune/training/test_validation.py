"""Held-out rows: never trained on, measured as `lit-eval` would, without any effect on what is trained."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.evaluation.retrieval import evaluate
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.metrics import read_metrics
from lit_precompute.tune.training.plots import plot_losses
from lit_precompute.tune.training.progress import TrainingStopped, minival_of
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import EXECUTION, NUM_ROWS, RECIPE, metric_lines, model_bytes, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
HELD_OUT = 36  # two batches of 16, and 4 rows that only retrieval counts
RECIPE_HELD_OUT = dataclasses.replace(RECIPE, data=DataOptions(held_out=HELD_OUT), num_steps=12)
OFTEN = dataclasses.replace(EXECUTION, validate_every_steps=5, log_every_steps=3)


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    """Some held-out rows have two texts, and some none."""
    folder = tmp_path_factory.mktemp("data")
    with EmbeddingDataset.open(write_dataset(folder / "words")) as dataset:
        texts = dataset.rows(0, NUM_ROWS, ["texts"])["texts"].to_pylist()
    texts[3], texts[7] = [*texts[3], "word1 word2"], [" "]
    texts[5] = [*texts[5], "", "word5"]
    return write_dataset(folder / "dataset", texts=texts)


@pytest.fixture(scope="module")
def finished(dataset_path, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "run"
    result = train(dataset_path, output, RECIPE_HELD_OUT, OFTEN)
    return output, result


def float64_loss(images, texts, scale):
    """The mean of both directions' cross-entropies, by its definition."""
    logits = scale * texts.astype(np.float64) @ images.astype(np.float64).T
    each = [np.log(np.exp(logits).sum(axis)) - np.diag(logits) for axis in (0, 1)]
    return np.mean(each)


def test_matches_lit_eval_and_float64_numpy(finished, dataset_path):
    output, result = finished
    model = TunedModel.load(output)
    with EmbeddingDataset.open(dataset_path) as dataset:
        selection = Selection.of_rows(dataset.manifest, np.arange(HELD_OUT), made_by={})
        found = evaluate(model, dataset, selection)
        rows = dataset.rows(0, HELD_OUT)
    assert found.num_texts == HELD_OUT + 1  # two more, one fewer; a blank one does not count
    for k in (1, 5):
        assert result.minival[f"image_to_text_R@{k}"] == found.image_to_text[k].value
        assert result.minival[f"text_to_image_R@{k}"] == found.text_to_image[k].value
    with_text = [row for row in range(HELD_OUT) if row != 7]
    images = model.embed_images(rows.vectors()[with_text])
    texts = model.embed_texts([rows["texts"][row][0].as_py() for row in with_text])
    losses = [float64_loss(images[start : start + 16], texts[start : start + 16], model.scale) for start in (0, 16)]
    assert result.minival["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_metrics_are_in_all_places_that_show_them(finished):
    output, result = finished
    lines = metric_lines(output)
    assert [line["step"] for line in lines] == [1, 3, 5, 6, 9, 10, 12]
    assert [line["step"] for line in lines if minival_of(line)] == [5, 10, 12]
    assert minival_of(lines[-1]) == result.minival
    assert {*result.minival} == {f"{way}_R@{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)} | {
        "loss"
    }
    assert read_metrics(output / "metrics.jsonl")[-1]["minival/loss"] == result.minival["loss"]
    training = json.loads((output / "model/tuned_model.json").read_text())["training"]
    assert (training["minival"], training["num_pairs"]) == (result.minival, NUM_ROWS - HELD_OUT)
    assert plot_losses(output).stat().st_size > 0


def test_validation_changes_nothing_that_is_trained(finished, dataset_path, tmp_path):
    """Neither how often it is, nor that it is: a run on the other rows alone ends in the same bits."""
    train(dataset_path, tmp_path / "once", RECIPE_HELD_OUT)
    assert model_bytes(tmp_path / "once") == model_bytes(finished[0])
    with EmbeddingDataset.open(dataset_path) as dataset:
        others = Selection.of_rows(dataset.manifest, np.arange(HELD_OUT, NUM_ROWS), made_by={})
        without = dataclasses.replace(RECIPE_HELD_OUT, data=DataOptions())
        Trainer(dataset, without, tmp_path / "others", EXECUTION, others).run(lambda progress: None)
    assert model_bytes(tmp_path / "others") == model_bytes(finished[0])


@pytest.mark.parametrize("stop", [5, 7])
def test_a_stopped_run_resumes_exactly(finished, dataset_path, tmp_path, stop):
    steps = iter(range(1, 99))
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", RECIPE_HELD_OUT, OFTEN, should_stop=lambda: next(steps) == stop)
    result = train(dataset_path, tmp_path / "run", RECIPE_HELD_OUT, OFTEN)
    assert model_bytes(tmp_path / "run") == model_bytes(finished[0])
    assert metric_lines(tmp_path / "run") == metric_lines(finished[0])
    assert result.minival == finished[1].minival


def test_of_a_selection_its_first_rows_are_held_out(dataset_path, tmp_path):
    rows = np.arange(1, NUM_ROWS, 2)
    with EmbeddingDataset.open(dataset_path) as dataset:
        selection = Selection.of_rows(dataset.manifest, rows, made_by={})
        recipe = dataclasses.replace(RECIPE_HELD_OUT, data=DataOptions(held_out=9))
        trainer = Trainer(dataset, recipe, tmp_path / "run", EXECUTION, selection)
        seen = {row for step in range(8) for row in trainer.batches.batch(step).row_numbers.tolist()}
        assert seen == {*rows[9:].tolist()}
        trainer.run(lambda progress: None)


def test_refuses_what_cannot_be_validated(dataset_path, tmp_path):
    for data, words in [
        ({"held_out": NUM_ROWS}, rf"data\.held_out must be < the {NUM_ROWS} rows of .*dataset, got {NUM_ROWS}"),
        ({"held_out": 90}, r"batch_size must be <= 6, .* got 16"),
    ]:
        with pytest.raises(ValueError, match=words):
            train(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, data=DataOptions(**data)))
    texts = [[]] * 5 + [["word1"]] * (NUM_ROWS - 5)
    silent = write_dataset(tmp_path / "silent", texts=texts)
    with pytest.raises(
        ValueError, match=r"silent: at least two of the 6 rows that data\.held_out .* got 1; hold out more"
    ):
        train(silent, tmp_path / "run", dataclasses.replace(RECIPE, data=DataOptions(held_out=6)))
    assert not (tmp_path / "run").exists()
    for number in (-1, 1):
        with pytest.raises(OptionsError, match=rf"data\.held_out must be 0 or >= 2, got {number}"):
            DataOptions(held_out=number)
    with pytest.raises(OptionsError, match=r"validate_every_steps must be >= 1 or None, got 0"):
        Execution(validate_every_steps=0)
    with pytest.raises(OptionsError, match=r"validate_every_steps must be None where data\.held_out is 0"):
        OFTEN.check_fits(RECIPE)
