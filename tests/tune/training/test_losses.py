"""Losses in a run: their options reach the step, what they measure reaches the metrics, the bias reaches the model."""

import dataclasses

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.losses import SigmoidOptions, SoftmaxOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from lit_precompute.tune.training.metrics import EVENTS_FOLDER
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import NUM_ROWS, RECIPE, metric_lines, model_bytes, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it

SHORT = dataclasses.replace(RECIPE, num_steps=6)
LOSSES = {
    "softmax": SoftmaxOptions(),
    "masked": SoftmaxOptions(mask_duplicates=True),
    "groups": SoftmaxOptions(group_size=4),
    "sigmoid": SigmoidOptions(initial_scale=20.0, mask_duplicates=True),
}


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    """The images share twelve texts, so that every batch has equal ones."""
    texts = [[f"word{row % 12} word{row % 4}"] for row in range(NUM_ROWS)]
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", texts=texts)


@pytest.fixture(scope="module")
def runs(dataset_path, tmp_path_factory):
    """The outputs of a run with each loss."""
    folder = tmp_path_factory.mktemp("runs")
    for name, loss in LOSSES.items():
        train(dataset_path, folder / name, dataclasses.replace(SHORT, loss=loss))
    return folder


def test_duplicate_texts_are_counted(dataset_path, runs, tmp_path):
    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, SHORT, tmp_path / "run")
        batches = [np.asarray(trainer.batches.batch(step).texts.inputs) for step in range(6)]
        trainer.run(lambda progress: None)
    expected = []
    for tokens in batches:
        _, places, counts = np.unique(tokens, axis=0, return_inverse=True, return_counts=True)
        expected.append(float((counts[places.ravel()] > 1).sum()))
    assert min(expected) > 0
    for name in LOSSES:
        assert [line["duplicate_texts"] for line in metric_lines(runs / name)] == expected
    events = EventAccumulator(str(runs / "softmax" / EVENTS_FOLDER))
    events.Reload()
    assert [event.value for event in events.Scalars("duplicate_texts")] == expected


def test_masked_duplicates_and_groups_are_other_losses(runs):
    """Fewer texts to choose from make the first step's loss smaller."""
    losses = {name: metric_lines(runs / name)[0]["loss"] for name in LOSSES}
    assert losses["masked"] < losses["softmax"] - 0.03  # one text in sixteen, more or less
    assert losses["groups"] < losses["softmax"] - 0.5


def test_the_bias_is_learnt_measured_and_kept(runs):
    lines = metric_lines(runs / "sigmoid")
    assert (lines[0]["scale"], lines[0]["bias"]) == (pytest.approx(20.0), -10.0)
    assert lines[-1]["bias"] != -10.0
    model = TunedModel.load(runs / "sigmoid")
    assert model.bias == pytest.approx(lines[-1]["bias"], abs=0.1)
    assert model.recipe.loss == LOSSES["sigmoid"]
    assert "bias" not in metric_lines(runs / "softmax")[0]
    assert TunedModel.load(runs / "softmax").bias is None


def test_a_bias_that_is_no_number_is_refused(runs, tmp_path):
    model = TunedModel.load(runs / "sigmoid")
    dataclasses.replace(model, bias=float("inf")).save(tmp_path / "model")
    with pytest.raises(TunedModelError, match="bias must be a finite number, got inf"):
        TunedModel.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["masked", "sigmoid"])
def test_a_resumed_run_ends_in_the_same_bits(name, dataset_path, runs, tmp_path):
    recipe, asked = dataclasses.replace(SHORT, loss=LOSSES[name]), iter(range(1, 100))
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", recipe, should_stop=lambda: next(asked) >= 3)
    train(dataset_path, tmp_path / "run", recipe)
    assert model_bytes(tmp_path / "run") == model_bytes(runs / name)
    assert metric_lines(tmp_path / "run") == metric_lines(runs / name)
