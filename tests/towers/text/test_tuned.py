"""A tuned model as the start of another text tower."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.towers.text import T5TextOptions, resolve_text_tower
from lit_precompute.towers.text.bert.options import BertTextOptions
from lit_precompute.towers.text.encoder import load_text_encoder
from lit_precompute.towers.text.encoder_options import TextEncoderOptions
from lit_precompute.towers.tokenizers import WordOptions, train_tokenizer
from lit_precompute.tune.config.starts import start_from
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.trainer import Trainer
from tests.tune.small_runs import RECIPE, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # in optax
TEXTS = ["word1 word2 word3", "word4"]


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def run(dataset_path, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "first"
    train(dataset_path, output, dataclasses.replace(RECIPE, num_steps=4))
    return output


@pytest.fixture
def changed(run, tmp_path):
    def change(edit):
        card = json.loads((run / "model/tuned_model.json").read_text())
        edit(card)
        (tmp_path / "tuned_model.json").write_text(json.dumps(card))
        return str(tmp_path)

    return change


def first_parameters(dataset_path, recipe, output):
    with EmbeddingDataset.open(dataset_path) as dataset:
        trainer = Trainer(dataset, recipe, output)
        parameters = {name: np.array(value) for name, value in trainer.parameters.text.items()}
        with pytest.raises(TrainingStopped):
            trainer.run(lambda progress: None, lambda: True)
    return parameters


@pytest.mark.parametrize(
    "tower",
    [
        RECIPE.text_tower,
        BertTextOptions(width=16, depth=1, num_heads=2, mlp_width=32, pooling="average", head="mlp"),
        T5TextOptions(width=16, depth=1, num_heads=2, head_width=8, mlp_width=32, pooling="attention"),
    ],
    ids=lambda tower: tower.kind,
)
def test_a_run_starts_from_a_tuned_model_with_its_shape_tokenizer_and_parameters(dataset_path, tmp_path, tower):
    train(dataset_path, tmp_path / "first", dataclasses.replace(RECIPE, num_steps=4, text_tower=tower))
    model = TunedModel.load(tmp_path / "first")
    recipe = start_from(dataclasses.replace(RECIPE, tokenizer=WordOptions()), str(tmp_path / "first"))
    assert dataclasses.replace(recipe.text_tower, weights=None) == tower
    found = first_parameters(dataset_path, recipe, tmp_path / "second")
    assert found.keys() == model.text_parameters.keys()
    for name, value in model.text_parameters.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    tokenizer = train_tokenizer(recipe.tokenizer, iter(()))
    assert tokenizer.fingerprint == model.tokenizer.fingerprint


def test_the_folder_of_the_model_itself_serves_as_well(run):
    assert resolve_text_tower(str(run / "model"))[1] == resolve_text_tower(str(run))[1]


def test_a_tuned_text_tower_embeds_texts_as_a_frozen_one(run):
    encoder = load_text_encoder(TextEncoderOptions(name=str(run)))
    found = encoder.embed(TEXTS)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, TunedModel.load(run).embed_texts(TEXTS), atol=1e-6)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda card: card["recipe"]["text_tower"].update(kind="os:name"),
            r"recipe.text_tower.kind must be one of .*'os:",
        ),
        (lambda card: card["recipe"]["text_tower"].update(banana=1), r"recipe.text_tower.banana is not an option"),
        (lambda card: card["recipe"]["text"].clear(), r"recipe.text.max_tokens must be a whole number, got None"),
        (lambda card: card.update(recipe=[]), r"recipe.text_tower must be a JSON object, got None; copy the model"),
        (lambda card: card["recipe"].update(text_tower={"kind": "stored"}), r"a head over stored text embeddings"),
    ],
)
def test_a_card_that_says_something_else_is_refused(changed, edit, message):
    with pytest.raises(ValueError, match=rf"tuned_model.json: {message}"):
        resolve_text_tower(changed(edit))


def test_a_saved_tokenizer_of_another_kind_is_refused(run):
    from lit_precompute.towers.tokenizers import SentencePieceOptions

    with pytest.raises(
        ValueError, match=r"tokenizer.kind must be 'words', which the tokenizer saved in .* is, got 'sent"
    ):
        train_tokenizer(SentencePieceOptions(path=str(run / "model")), iter(()))
