"""Frozen text towers: their embeddings are the tower's, and their cards tell towers apart."""

import dataclasses

import jax
import numpy as np
import pytest

from lit_precompute.schemas.text_tower_card import TextTowerCard
from lit_precompute.towers.options import OptionsError
from lit_precompute.towers.text.encoder import BATCH_SIZE, load_text_encoder
from lit_precompute.towers.text.encoder_options import TextEncoderOptions
from tests.towers.text.tiny_encoder import MAX_TOKENS, OPTIONS, WIDTH, write_encoder


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"), "tiny/for-encoder")


@pytest.fixture(scope="module")
def encoder(name):
    return load_text_encoder(TextEncoderOptions(name=name))


def test_embeddings_are_the_towers_at_any_number_of_texts(encoder):
    texts = [f"word{number % 20} word{number % 7}" for number in range(BATCH_SIZE + 3)]
    found = encoder.embed(texts)
    tokens = encoder.tokenizer.encode(texts, MAX_TOKENS)
    np.testing.assert_allclose(found, jax.jit(encoder.tower.apply)(encoder.parameters, tokens), atol=1e-5)
    assert found.shape == (len(texts), WIDTH)
    np.testing.assert_array_equal(encoder.embed(texts[:5]), found[:5])


def test_the_card_tells_towers_apart(encoder, name, tmp_path):
    card = encoder.card
    assert TextTowerCard.model_validate_json(card.model_dump_json()) == card
    assert (card.output_width, card.max_tokens, card.architecture["pooling"]) == (WIDTH, MAX_TOKENS, "average")
    others = {
        "compute_type": TextEncoderOptions(name=name, compute_type="bfloat16"),
        "pooling": TextEncoderOptions(name=name, pooling="max"),
        "weights": TextEncoderOptions(name=write_encoder(tmp_path / "other", "tiny/other", seed=1)),
    }
    cards = {what: load_text_encoder(options).card for what, options in others.items()}
    assert len({card.fingerprint, *(each.fingerprint for each in cards.values())}) == 4
    assert set(card.differences(cards["weights"])) == {"weights_sha256"}
    assert card.differences(cards["pooling"]) == {"architecture.pooling": ("average", "max")}
    same = load_text_encoder(TextEncoderOptions(name=write_encoder(tmp_path / "copy", "tiny/copy")))
    assert same.card.fingerprint == card.fingerprint  # neither name nor place is part of it


def test_a_head_of_the_file_is_kept(tmp_path):
    options = dataclasses.replace(OPTIONS, head="linear")
    name = write_encoder(tmp_path, "tiny/with-head", options=options, output_width=5)
    with_head = load_text_encoder(TextEncoderOptions(name=name))
    assert with_head.card.output_width == with_head.embed(["word1"]).shape[1] == 5


def test_a_file_without_the_head_gives_the_pooled_vector(name, encoder, tmp_path):
    headless = write_encoder(tmp_path, "tiny/headless")
    weights = str(tmp_path / "model.safetensors")
    from lit_precompute.towers.text.registry import register_text_entry, text_towers

    entry = text_towers()[headless]
    register_text_entry(
        "tiny/asks-for-a-head", dataclasses.replace(entry, options=dataclasses.replace(OPTIONS, head="linear"))
    )
    found = load_text_encoder(TextEncoderOptions(name="tiny/asks-for-a-head", weights=weights))
    assert found.card.architecture["head"] == "none"
    np.testing.assert_array_equal(found.embed(["word3 word4"]), encoder.embed(["word3 word4"]))


def test_what_cannot_be_used_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"does not tell its tower and its tokenizer; give a folder"):
        load_text_encoder(TextEncoderOptions(name=str(tmp_path / "model.safetensors")))
    with pytest.raises(ValueError, match="unknown text tower 'nothing'"):
        load_text_encoder(TextEncoderOptions(name="nothing"))
    with pytest.raises(OptionsError, match="max_tokens must be >= 2, got 1"):
        TextEncoderOptions(name="x", max_tokens=1)
