"""Where a text tower starts from, and what of it is trained."""

import dataclasses

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.tokenizers import HuggingFaceOptions, WordOptions
from lit_precompute.tune.config.starts import other_tokenizer, start_from
from lit_precompute.tune.model.options import ImageSideOptions, TrainedOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import RECIPE, model_bytes, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # in optax
RECIPE = dataclasses.replace(RECIPE, num_steps=8)


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def weights(dataset_path, tmp_path_factory):
    """Returns a file of the parameters of a tower that was trained already, under big_vision's names."""
    output = tmp_path_factory.mktemp("run") / "first"
    train(dataset_path, output, dataclasses.replace(RECIPE, seed=7))
    model = TunedModel.load(output)
    path = output / "weights.npz"
    np.savez(path, **model.sides.text.write_parameters(model.text_parameters))
    return path, dict(model.text_parameters)


def starting_from(path, **trained):
    tower = dataclasses.replace(RECIPE.text_tower, weights=str(path))
    return dataclasses.replace(RECIPE, text_tower=tower, trained=TrainedOptions(**trained))


def first_state(dataset_path, recipe, output):
    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, recipe, output)
        state = {name: np.array(value) for name, value in trainer.parameters.text.items()}
        with pytest.raises(TrainingStopped):
            trainer.run(lambda progress: None, lambda: True)
    return state


def test_a_tower_starts_from_its_file(dataset_path, weights, tmp_path):
    path, parameters = weights
    drawn = first_state(dataset_path, starting_from(path), tmp_path / "run")
    assert drawn.keys() == parameters.keys()
    for name, value in parameters.items():
        np.testing.assert_array_equal(drawn[name], value, err_msg=name)


def test_a_head_that_the_file_lacks_is_drawn_as_without_the_file(dataset_path, weights, tmp_path):
    path, parameters = weights
    with np.load(path) as arrays:
        np.savez(tmp_path / "headless.npz", **{name: arrays[name] for name in arrays if not name.startswith("head/")})
    found = first_state(dataset_path, starting_from(tmp_path / "headless.npz"), tmp_path / "run")
    drawn = first_state(dataset_path, RECIPE, tmp_path / "random")
    np.testing.assert_array_equal(found["head/kernel"], drawn["head/kernel"])
    np.testing.assert_array_equal(found["final_norm/scale"], parameters["final_norm/scale"])
    assert not np.array_equal(drawn["position_embedding"], parameters["position_embedding"])


def test_a_head_of_another_width_is_refused_unless_it_is_drawn(dataset_path, weights, tmp_path):
    path, parameters = weights
    narrow = dataclasses.replace(RECIPE, image_side=ImageSideOptions(head_width=8))
    recipe = dataclasses.replace(starting_from(path), image_side=narrow.image_side)
    with pytest.raises(
        ValueError, match=r"width 24, while the image side's have 8: give --text-tower.head-start random"
    ):
        train(dataset_path, tmp_path / "refused", recipe)
    tower = dataclasses.replace(recipe.text_tower, head_start="random")
    found = first_state(dataset_path, dataclasses.replace(recipe, text_tower=tower), tmp_path / "run")
    drawn = first_state(dataset_path, narrow, tmp_path / "random")
    for name, value in found.items():
        expected = drawn[name] if name.startswith("head/") else parameters[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)


def test_a_head_that_fits_is_drawn_if_that_is_asked_for(dataset_path, weights, tmp_path):
    path, parameters = weights
    recipe = starting_from(path, last_layers=0)
    tower = dataclasses.replace(recipe.text_tower, head_start="random")
    found = first_state(dataset_path, dataclasses.replace(recipe, text_tower=tower), tmp_path / "run")
    assert found.keys() == {"head/kernel", "head/bias"}
    assert not np.array_equal(found["head/kernel"], parameters["head/kernel"])


@pytest.mark.parametrize(
    ("trained", "is_trained"),
    [
        ({"last_layers": 0}, lambda name: name.startswith("head/")),
        ({"last_layers": 1}, lambda name: name.startswith(("blocks/0/", "final_norm/", "head/"))),
        (
            {"locked": "token_embedding/*,*/attention/*"},
            lambda name: "token_" not in name and "/attention/" not in name,
        ),
    ],
)
def test_what_is_locked_keeps_its_bits_and_all_else_is_trained(dataset_path, weights, tmp_path, trained, is_trained):
    path, parameters = weights
    recipe = starting_from(path, **trained)
    train(dataset_path, tmp_path / "run", recipe)
    tuned = TunedModel.load(tmp_path / "run").text_parameters
    for name, value in parameters.items():
        # The keys' bias has no effect on attention.
        assert np.array_equal(tuned[name], value) != is_trained(name) or name.endswith("key/bias"), name


def test_a_stopped_run_resumes_in_the_same_bits_without_the_file(dataset_path, weights, tmp_path):
    path, _ = weights
    copy = tmp_path / "weights.npz"
    copy.write_bytes(path.read_bytes())
    recipe = starting_from(copy, last_layers=1, layer_decay=0.5)
    train(dataset_path, tmp_path / "whole", recipe)
    steps = iter([False, False, True])
    with pytest.raises(TrainingStopped):
        train(dataset_path, tmp_path / "stopped", recipe, should_stop=lambda: next(steps))
    copy.unlink()
    train(dataset_path, tmp_path / "stopped", recipe)
    assert model_bytes(tmp_path / "whole") == model_bytes(tmp_path / "stopped")


def test_a_smaller_rate_moves_a_layer_less(dataset_path, weights, tmp_path):
    """Adam's first update is its rate times the gradient's sign."""
    path, parameters = weights
    moved = {}
    for decay in (1.0, 0.5):
        adam = dataclasses.replace(RECIPE.optimizer, warmup_steps=0, weight_decay=0.0, epsilon=1e-30, clip_norm=None)
        recipe = dataclasses.replace(starting_from(path, layer_decay=decay), num_steps=1, optimizer=adam)
        train(dataset_path, tmp_path / str(decay), recipe)
        tuned = TunedModel.load(tmp_path / str(decay)).text_parameters
        moved[decay] = {name: np.abs(tuned[name] - value).max() for name, value in parameters.items()}
    for name, factor in {"head/kernel": 1.0, "blocks/0/attention/out/kernel": 0.5, "position_embedding": 0.25}.items():
        assert moved[0.5][name] == pytest.approx(factor * moved[1.0][name], rel=1e-3), name


def test_a_tokenizer_that_is_not_the_weights_own_is_told(dataset_path, weights, tmp_path, caplog):
    first_state(dataset_path, starting_from(weights[0]), tmp_path / "run")
    assert "the tokenizer is made of the captions, and the token vectors in" in caplog.text
    caplog.clear()
    first_state(dataset_path, RECIPE, tmp_path / "random")
    assert "token vectors" not in caplog.text
    run = str(weights[0].parent)
    (tmp_path / "words.txt").write_text("".join(f"word{number}\n" for number in range(20)))
    own = start_from(RECIPE, run)
    assert other_tokenizer(own) is None
    other = dataclasses.replace(own, tokenizer=WordOptions(path=str(tmp_path / "words.txt")))
    assert "words.txt', and that of" in str(other_tokenizer(other))
    assert other_tokenizer(start_from(other, run, setting="Lu")) is None
    changed = dataclasses.replace(own, tokenizer=dataclasses.replace(own.tokenizer, vocabulary_size=9))
    with pytest.raises(
        ValueError, match=r"tokenizer must be as it was saved with .*vocabulary_size=9\); leave its flags"
    ):
        other_tokenizer(changed)


def test_a_row_without_room_for_a_piece_is_refused_by_name(dataset_path, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "word"]))
    recipe = dataclasses.replace(
        RECIPE,
        tokenizer=HuggingFaceOptions(path=str(vocabulary), special_tokens="published"),
        text=dataclasses.replace(RECIPE.text, max_tokens=2),
    )
    with pytest.raises(
        ValueError, match=r"text.max_tokens: length must be >= 3 \(one piece and 2 special tokens\), got 2"
    ):
        train(dataset_path, tmp_path / "run", recipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_tower": {"width": 8, "weights": True}}, r"weights.npz: not this tower's weights"),
        ({"text_tower": {"weights": "no/such/file.npz"}}, r"no/such/file.npz: no such weights file"),
        ({"trained": {"last_layers": 2}}, r"last_layers must be <= the text tower's 1 blocks, got 2"),
        ({"trained": {"locked": "*"}}, r"trains nothing: the text tower is locked"),
    ],
)
def test_a_wrong_start_is_refused_and_writes_nothing(dataset_path, weights, tmp_path, change, message):
    for part, values in change.items():
        given = values | ({"weights": str(weights[0])} if values.get("weights") is True else {})
        change[part] = dataclasses.replace(getattr(RECIPE, part), **given)
    with pytest.raises(ValueError, match=message):
        train(dataset_path, tmp_path / "run", dataclasses.replace(RECIPE, **change))
    assert not (tmp_path / "run").exists()


def test_a_locked_tower_trains_under_an_image_head(dataset_path, weights, tmp_path):
    path, parameters = weights
    side = ImageSideOptions(head_width=RECIPE.text_tower.width)
    tower = dataclasses.replace(RECIPE.text_tower, weights=str(path), head="none")
    with np.load(path) as arrays:
        np.savez(tmp_path / "headless.npz", **{name: arrays[name] for name in arrays if not name.startswith("head/")})
    tower = dataclasses.replace(tower, weights=str(tmp_path / "headless.npz"))
    recipe = dataclasses.replace(RECIPE, image_side=side, text_tower=tower, trained=TrainedOptions(locked="*"))
    train(dataset_path, tmp_path / "run", recipe)
    model = TunedModel.load(tmp_path / "run")
    assert all(np.array_equal(value, parameters[name]) for name, value in model.text_parameters.items())
    assert model.image_parameters["kernel"].shape == (24, 16)
