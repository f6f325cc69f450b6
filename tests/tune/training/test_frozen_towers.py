"""Heads over stored embeddings of both sides: trained, killed, resumed, reloaded, and evaluated."""

import dataclasses
import json

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.heads import LinearHeadOptions, NoHeadOptions
from lit_precompute.towers.text import StoredTextOptions
from lit_precompute.towers.text.encoder import load_text_encoder
from lit_precompute.towers.text.encoder_options import TextEncoderOptions
from lit_precompute.tune.model.exporting import export_model
from lit_precompute.tune.model.options import ImageSideOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from lit_precompute.tuning import retrieval, zero_shot
from tests.towers.text.tiny_encoder import WIDTH, WORDS, write_encoder
from tests.tune.frozen_runs import ENCODER, FROZEN_RECIPE, TABLE, start_training, write_frozen
from tests.tune.small_runs import EXECUTION, has_checkpoint, kill_when, metric_lines, model_bytes, train

pytestmark = pytest.mark.standard_promotion


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    write_frozen(folder)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """A whole run of 20 steps."""
    train(folder / "dataset", folder / "run", FROZEN_RECIPE)
    return folder / "run"


def test_the_loss_falls_and_the_model_says_what_it_is(run):
    lines = metric_lines(run)
    assert len(lines) == 20 and lines[-1]["loss"] < lines[0]["loss"] - 0.1
    card = json.loads((run / "model/tuned_model.json").read_text())
    assert card["text_embeddings"]["table"] == TABLE
    assert card["text_embeddings"]["tower"] == load_text_encoder(TextEncoderOptions(name=ENCODER)).card.model_dump()
    assert FROZEN_RECIPE.setting == "LL"
    assert not (run / "tokenizer").exists() and not (run / "model/tokenizer").exists()


def test_a_reloaded_model_embeds_stored_and_new_texts_alike(folder, run):
    model = TunedModel.load(run)
    with EmbeddingDataset.open(folder / "dataset") as dataset:
        rows = dataset.rows(0, 20)
    texts = [each[0] for each in rows["texts"].to_pylist()]
    stored = model.embed_text_vectors(rows.vectors("text_embedding"))
    assert stored.shape == (20, 12)
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.embed_texts(texts), stored, atol=5e-3)  # stored as float16
    text, parameters = model.sides.text, dict(model.text_parameters)
    whole = text.apply(parameters, StoredVectors(rows["text_embedding"], None))
    np.testing.assert_allclose(whole / np.linalg.norm(whole, axis=1, keepdims=True), stored, atol=1e-5)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(folder, run, tmp_path):
    process = start_training(folder / "dataset", tmp_path / "run")
    assert kill_when(process, has_checkpoint(tmp_path / "run", 8))
    process.wait()
    assert not (tmp_path / "run/model").exists()
    train(folder / "dataset", tmp_path / "run", FROZEN_RECIPE)
    assert model_bytes(tmp_path / "run") == model_bytes(run)
    assert metric_lines(tmp_path / "run") == metric_lines(run)


@pytest.mark.slow
@pytest.mark.parametrize("vector_type", ["bfloat16", "int8"])
def test_tables_of_every_type_train_nearly_alike(folder, run, tmp_path, vector_type):
    dataset = write_frozen(tmp_path, vector_type=vector_type)
    train(dataset, tmp_path / "run", FROZEN_RECIPE)
    losses = [line["loss"] for line in metric_lines(tmp_path / "run")]
    np.testing.assert_allclose(losses, [line["loss"] for line in metric_lines(run)], atol=0.05)


@pytest.mark.slow
def test_micro_batches_give_the_same_model_up_to_rounding(folder, run, tmp_path):
    execution = dataclasses.replace(EXECUTION, micro_batch_size=6)
    train(folder / "dataset", tmp_path / "run", FROZEN_RECIPE, execution)
    losses = [line["loss"] for line in metric_lines(tmp_path / "run")]
    np.testing.assert_allclose(losses, [line["loss"] for line in metric_lines(run)], rtol=1e-4)


def test_one_head_is_enough(folder, tmp_path):
    """A head on the image side alone, as wide as the stored text embeddings."""
    recipe = dataclasses.replace(
        FROZEN_RECIPE,
        text_tower=StoredTextOptions(table=TABLE, head=NoHeadOptions()),
        image_side=ImageSideOptions(head_width=WIDTH, head=LinearHeadOptions()),
        num_steps=4,
    )
    train(folder / "dataset", tmp_path / "run", recipe)
    model = TunedModel.load(tmp_path / "run")
    assert dict(model.text_parameters) == {} and model.output_width == WIDTH
    vectors = load_text_encoder(TextEncoderOptions(name=ENCODER)).embed(["word1"])
    np.testing.assert_allclose(model.embed_texts(["word1"]), vectors / np.linalg.norm(vectors), atol=1e-6)


def test_retrieval_needs_no_text_tower_where_all_texts_are_stored(folder, run, monkeypatch):
    with EmbeddingDataset.open(folder / "dataset") as dataset, EmbeddingDataset.open(folder / "base") as base:
        embedded = retrieval(TunedModel.load(run), base)
        monkeypatch.setattr(TunedModel, "text_encoder", property(lambda model: pytest.fail("it was loaded")))
        stored = retrieval(TunedModel.load(run), dataset)
    assert stored.num_texts == embedded.num_texts == 96
    found, expected = (each.text_to_image[10].value for each in (stored, embedded))
    assert abs(found - expected) <= 2 / 96 and found > 0.1  # chance is 10 of 96, and 20 steps are few


def test_zero_shot_embeds_prompts_with_the_frozen_text_tower(folder, run, tmp_path):
    labels = tmp_path / "labels.tsv"
    with EmbeddingDataset.open(folder / "dataset") as dataset:
        keys, texts = dataset.keys().to_pylist(), dataset.rows(0, dataset.num_rows)["texts"].to_pylist()
    firsts = [row[0].split()[0] for row in texts]
    labels.write_text("key\tlabel\n" + "".join(f"{key}\t{label}\n" for key, label in zip(keys, firsts, strict=True)))
    from lit_precompute.precompute.deriving.derivation import derive
    from lit_precompute.precompute.deriving.options import DeriveOptions

    derive(DeriveOptions(base=str(folder / "dataset"), output=str(tmp_path / "labelled"), labels=str(labels)))
    with EmbeddingDataset.open(tmp_path / "labelled") as dataset:
        result = zero_shot(TunedModel.load(run, text_tower=ENCODER), dataset, WORDS)
    assert result.num_classes == 20 and result.top5.value > 0.25


def test_another_text_tower_is_refused_with_both_sides(run, tmp_path):
    other = write_encoder(tmp_path, "tiny/another", seed=1)
    with pytest.raises(
        TunedModelError, match=r"is not the text tower .*: weights_sha256 is '\w+', the model's is '\w+'"
    ):
        TunedModel.load(run, text_tower=other).embed_texts(["word1"])


def test_a_card_is_no_reason_to_open_what_it_names(run, tmp_path):
    model = TunedModel.load(run)
    assert model.frozen_text is not None and model.frozen_text.tower is not None
    elsewhere = dataclasses.replace(
        model.frozen_text, tower=model.frozen_text.tower.model_copy(update={"name": str(tmp_path)})
    )
    with pytest.raises(TunedModelError, match="give its name or folder as --text-tower"):
        elsewhere.load_encoder(None)


def test_a_missing_table_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match=TABLE):
        train(folder / "base", tmp_path / "run", FROZEN_RECIPE)


def test_heads_alone_are_no_text_tower_to_export(run, tmp_path):
    with pytest.raises(TunedModelError, match="no text tower to export: it has heads over stored embeddings"):
        export_model(TunedModel.load(run), tmp_path / "exported", "transformers")
    assert not (tmp_path / "exported").exists()
