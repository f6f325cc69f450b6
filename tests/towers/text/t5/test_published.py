"""The T5 encoders that have names: their sizes, counted as transformers counts them, without drawing them."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.towers.text import make_text_tower, resolve_text_tower
from lit_precompute.towers.text.t5.published import ENTRIES
from lit_precompute.towers.tokenizers import SentencePieceOptions, Vocabulary, train_tokenizer
from lit_precompute.towers.tokenizers.sentencepiece_training import train_pieces
from tests.oracles import t5 as oracle
from tests.towers.text.t5.making import file_parameters, saved_config

COUNTS = json.loads(oracle.COUNTS.read_text(encoding="utf-8"))
COUNTS["sentence-transformers/sentence-t5-base"] = COUNTS["google-t5/t5-base"]
IDS = {32_128: 32_100, 250_112: 250_100}  # of the tokenizers


def count(options, num_ids, output_width=5):
    tower = make_text_tower(
        options,
        vocabulary=Vocabulary(num_ids, 1, 0),
        max_tokens=16,
        output_width=output_width,
        compute_type="float32",
    )
    shapes = tower.parameter_shapes
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.startswith("head/"))


@pytest.mark.parametrize("name", ENTRIES)
def test_has_as_many_parameters_as_transformers_encoder(name):
    options = ENTRIES[name].options
    assert count(options, IDS[options.vocabulary_rows]) == COUNTS[name]
    assert options.min_num_parameters() < COUNTS[name]


@pytest.mark.parametrize("name", ["google-t5/t5-11b", "google/t5-v1_1-xxl", "google/mt5-xxl"])
def test_the_largest_are_made_from_a_config(name, tmp_path):
    """They have no entry; the repository's config.json tells what they are."""
    _, config = oracle.PUBLISHED[name]
    fields = {"model_type": "mt5" if "mt5" in name else "t5", **config}
    (tmp_path / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    _, entry = resolve_text_tower(str(tmp_path))
    assert count(entry.options, IDS[entry.options.vocabulary_rows]) == COUNTS[name]


def test_weights_and_tokenizer_are_the_repositorys():
    for name, entry in ENTRIES.items():
        assert resolve_text_tower(name) == (name, entry)
        assert entry.weights == f"hf://{name}"
        assert entry.tokenizer == SentencePieceOptions(path=f"hf://{name}", special_tokens="published")
        assert entry.note


@pytest.mark.standard_promotion  # in JAX's attention
def test_a_folder_as_google_publishes_it_masks_its_padding(tmp_path):
    """config.json, weights and spiece.model alone: texts padded to any length have the same embeddings."""
    (tmp_path / "config.json").write_text(json.dumps(saved_config("t5")), encoding="utf-8")
    words = [f"word{number}" for number in range(20)]
    (tmp_path / "spiece.model").write_bytes(train_pieces(words, vocabulary_size=60))
    _, entry = resolve_text_tower(str(tmp_path))
    tokenizer = train_tokenizer(entry.tokenizer, [])
    assert tokenizer.vocabulary.pad_id == 0
    options = dataclasses.replace(entry.options, head="none")
    tower = make_text_tower(
        options, vocabulary=tokenizer.vocabulary, max_tokens=16, output_width=options.width, compute_type="float32"
    )
    apply, parameters = jax.jit(tower.apply), file_parameters(tower, "t5")
    short, long = (apply(parameters, jnp.asarray(tokenizer.encode(words[:3], length))) for length in (14, 16))
    assert np.abs(short - long).max() <= 1e-5 * np.abs(short).max()
