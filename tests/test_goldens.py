"""What must never change, whatever is rebuilt: identities, starting points, and what a saved model computes."""

import json

import numpy as np
import pytest

from lit_precompute.tune.model.tuned_model import TunedModel
from tests.golden.fingerprints import make as fingerprints
from tests.golden.text_tower_start import make as text_tower_start
from tests.golden.tuned_model_v1 import make as tuned_model

FINGERPRINTS = json.loads(fingerprints.PATH.read_text(encoding="utf-8"))


def test_every_registered_tower_keeps_its_fingerprint():
    found = fingerprints.compute()["registered"]  # other tests register towers of their own beside these
    assert {name: found.get(name) for name in FINGERPRINTS["registered"]} == FINGERPRINTS["registered"]


@pytest.mark.parametrize("family", fingerprints.SMALL)
def test_a_loaded_tower_of_each_family_keeps_its_fingerprint(family, tmp_path):
    assert fingerprints.load_small(family, tmp_path).fingerprint() == FINGERPRINTS["loaded"][family]


@pytest.mark.standard_promotion  # optax's Adam needs it
def test_the_demos_training_starts_from_the_same_parameters_bit_for_bit():
    assert text_tower_start.hashes() == json.loads(text_tower_start.PATH.read_text(encoding="utf-8"))


def test_a_tuned_model_of_version_1_gives_the_embeddings_that_it_gave():
    model = TunedModel.load(tuned_model.FOLDER / "model")
    with np.load(tuned_model.FOLDER / "embeddings.npz") as golden:
        # Rounding differs between processors by a few bits of float32.
        np.testing.assert_allclose(model.embed_texts(tuned_model.TEXTS), golden["texts"], rtol=0, atol=2e-6)
        np.testing.assert_allclose(model.embed_images(tuned_model.image_vectors()), golden["images"], rtol=0, atol=2e-6)
