"""Whole runs with each part of the optimizers: stopped and resumed to the same bits, and what is saved."""

import dataclasses
import itertools

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.tune.model.options import ImageSideOptions, TrainedOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.optimizers import AdafactorOptions, AdamOptions, LionOptions, SideRateOptions
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import EXECUTION, RECIPE, metric_lines, model_bytes, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # optax mixes types

SMALLER = SideRateOptions(rate_factor=0.1, schedule="delay")
SHARED = {"learning_rate": 3e-3, "warmup_steps": 3, "weight_decay": 1e-4, "ema_decay": 0.8}
EVERYTHING = dataclasses.replace(
    RECIPE,
    num_steps=12,
    text_tower=dataclasses.replace(RECIPE.text_tower, dropout=0.1),
    image_side=ImageSideOptions(head_width=16),
    trained=TrainedOptions(locked="position_embedding"),
    optimizer=AdafactorOptions(**SHARED, min_factored_size=16, image=SMALLER, decayed="*", not_decayed="*bias"),
)


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def whole(dataset_path, tmp_path_factory):
    """An uninterrupted run."""
    output = tmp_path_factory.mktemp("whole") / "run"
    train(dataset_path, output, EVERYTHING)
    return output


def test_a_stopped_run_resumes_to_the_same_bits(whole, dataset_path, tmp_path):
    """Adafactor's momentum in bfloat16, the average, the sides' schedules and dropout within a tower that is locked in
    part; stopped within the first half, and then in micro-batches."""
    steps = itertools.count(1)
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", EVERYTHING, should_stop=lambda: next(steps) == 5)
    train(dataset_path, tmp_path / "run", EVERYTHING)
    assert model_bytes(tmp_path / "run") == model_bytes(whole)
    assert metric_lines(tmp_path / "run") == metric_lines(whole)


def test_metrics_show_the_rate_of_each_side_that_has_its_own(whole):
    lines = metric_lines(whole)
    assert all("text_learning_rate" not in line for line in lines)
    rates = [(line["learning_rate"], line["image_learning_rate"]) for line in lines]
    assert [image for _, image in rates[:7]] == [0] * 7  # in the first half, and at the start of its own warm-up
    np.testing.assert_allclose(rates[9], [3e-3 * (1 + np.cos(np.pi * 6 / 9)) / 2, 3e-4], rtol=1e-5)


def test_the_tuned_model_has_the_average(dataset_path, tmp_path):
    """The same run without an average ends in other parameters, and its last ones are those that are averaged."""
    parameters = {}
    for decay in (None, 0.8):
        optimizer = AdamOptions(**{**SHARED, "ema_decay": decay})
        recipe = dataclasses.replace(RECIPE, num_steps=4, optimizer=optimizer)
        with EmbeddingDataset.open(dataset_path) as dataset:
            trainer = Trainer(dataset, recipe, tmp_path / str(decay), EXECUTION)
            trainer.run(lambda progress: None)
            last = {name: np.asarray(value) for name, value in trainer.parameters.text.items()}
        parameters[decay] = last, TunedModel.load(tmp_path / str(decay) / "model").text_parameters
    (last, saved), (also_last, averaged) = parameters[None], parameters[0.8]
    for name, value in last.items():
        np.testing.assert_array_equal(also_last[name], value)
        np.testing.assert_array_equal(saved[name], value)
    assert any((averaged[name] != value).any() for name, value in last.items())


@pytest.mark.parametrize("options", [AdamOptions, LionOptions])
def test_momentum_in_bfloat16_is_restored(options, dataset_path, tmp_path):
    recipe = dataclasses.replace(RECIPE, num_steps=6, optimizer=options(**SHARED, momentum_type="bfloat16"))
    train(dataset_path, tmp_path / "whole", recipe)
    steps = itertools.count(1)
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "run", recipe, should_stop=lambda: next(steps) == 3)
    train(dataset_path, tmp_path / "run", recipe)
    assert model_bytes(tmp_path / "run") == model_bytes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("side", "changes"),
    [("image", {}), ("text", {"trained": TrainedOptions(locked="*"), "image_side": EVERYTHING.image_side})],
)
def test_a_rate_for_a_side_that_is_locked_is_refused(side, changes, dataset_path, tmp_path):
    optimizer = AdamOptions(warmup_steps=3, **{side: SMALLER})
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, **changes)
    with pytest.raises(ValueError, match=rf"optimizer\.{side} must be left out where nothing of the {side} side is"):
        train(dataset_path, tmp_path / "run", recipe)
    assert not (tmp_path / "run").exists()
