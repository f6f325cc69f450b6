"""A BERT that starts from a folder of transformers', with its own tokenizer and padding: trained, killed, reloaded."""

import dataclasses
import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.towers.text import BertTextOptions, resolve_text_tower
from lit_precompute.towers.tokenizers.huggingface.options import HuggingFaceOptions
from lit_precompute.tune.config.recipe import Recipe
from lit_precompute.tune.data.text_options import TextOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.oracles import bert as oracle
from tests.tune.small_runs import (
    RECIPE,
    finish,
    kill_when,
    metric_lines,
    model_bytes,
    start,
    train,
    write_dataset,
)

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
NUM_STEPS = 20


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """A folder as `save_pretrained` writes it, with drawn weights and a vocabulary of digits."""
    folder = tmp_path_factory.mktemp("bert")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word", *(f"##{digit}" for digit in range(10))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(oracle.read_config("bert-small")), encoding="utf-8")
    safetensors.numpy.save_file(oracle.draw_file("bert-small"), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def recipe(folder) -> Recipe:
    _, entry = resolve_text_tower(str(folder))
    return dataclasses.replace(
        RECIPE,
        text=TextOptions(max_tokens=12),
        text_tower=dataclasses.replace(entry.options, weights=str(folder)),
        tokenizer=HuggingFaceOptions(path=str(folder)),
        num_steps=NUM_STEPS,
    )


@pytest.fixture(scope="module")
def unbroken(dataset_path, recipe, tmp_path_factory):
    """The output of an uninterrupted run."""
    output = tmp_path_factory.mktemp("runs") / "unbroken"
    train(dataset_path, output, recipe)
    return output


def test_learns_from_where_the_folder_starts_it(unbroken):
    losses = [line["loss"] for line in metric_lines(unbroken)]
    assert len(losses) == NUM_STEPS
    assert losses[-1] < 0.9 * losses[0]
    model = TunedModel.load(unbroken)
    start, end = (
        oracle.draw_file("bert-small")["bert.encoder.layer.0.output.dense.weight"].T,
        np.asarray(model.text_parameters["blocks/0/perceptron_out/kernel"]),
    )
    assert 0 < np.abs(end - start).max() < 0.1  # trained, and not drawn anew


def test_reloads_with_its_padding(unbroken):
    """Texts of different lengths in one batch have the embeddings that each has alone, without padding."""
    model = TunedModel.load(unbroken)
    assert isinstance(model.recipe.text_tower, BertTextOptions)
    assert model.tokenizer.vocabulary.pad_id == 0
    texts = ["word1", "word2 word13 word4"]
    found = model.embed_texts(texts)
    tokens = model.tokenizer.encode(texts, 12)
    for row, expected in zip(tokens, found, strict=True):
        alone = model.sides.text.apply(model.text_parameters, jnp.asarray(row[row != 0][None]))
        np.testing.assert_allclose(alone[0] / np.linalg.norm(alone[0]), expected, rtol=0, atol=1e-5)
    assert (tokens == 0).any()


@pytest.mark.slow
def test_killed_it_resumes_and_ends_in_the_same_bits(dataset_path, recipe, unbroken, tmp_path):
    output = tmp_path / "run"
    lines = output / "metrics.jsonl"
    killed = 0
    for count in (2, 13):

        def reached(count=count):
            return lines.exists() and lines.read_text().count("\n") >= count

        process = start(dataset_path, output, recipe=recipe)
        killed += kill_when(process, reached)
        finish(process)
    assert killed == 2
    status, _, errors = finish(start(dataset_path, output, recipe=recipe))
    assert status == 0, errors
    assert model_bytes(output) == model_bytes(unbroken)
    assert metric_lines(output) == metric_lines(unbroken)
