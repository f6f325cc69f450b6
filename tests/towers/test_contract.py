"""The contract between towers and a trainer, checked for every kind of tower."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.schemas.vectors import StoredVectors
from lit_precompute.towers.text import ViTTextOptions, make_text_tower
from lit_precompute.towers.tokenizers import Vocabulary
from lit_precompute.tune.model.image_side import make_image_side
from lit_precompute.tune.model.options import ImageSideOptions
from tests.golden.fingerprints.make import SMALL, small_entry


def image_tower(family):
    entry = small_entry(family)
    size = entry.config.resolution
    images = jax.random.uniform(jax.random.key(3), (2, size, size, 3), minval=-1, maxval=1)
    return entry.family.tower(entry.config), images


def text_tower():
    options = ViTTextOptions(width=16, depth=2, num_heads=2, mlp_width=32)
    tower = make_text_tower(
        options, vocabulary=Vocabulary(9, end_id=1), max_tokens=5, output_width=12, compute_type="float32"
    )
    return tower, jnp.arange(10, dtype=jnp.int32).reshape(2, 5) % 9


def image_side():
    stored = StoredVectors(np.random.default_rng(0).standard_normal((2, 8)).astype(np.float16), None)
    return make_image_side(ImageSideOptions(head_width=6), 8, None), stored


TOWERS = {
    **{family: lambda family=family: image_tower(family) for family in SMALL},
    "text": text_tower,
    "side": image_side,
}


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_is_a_pure_function_of_parameters_that_it_initialises(name):
    tower, inputs = TOWERS[name]()
    parameters = tower.initialise(jax.random.key(0))
    assert {key: value.shape for key, value in parameters.items()} == tower.parameter_shapes
    assert {value.dtype for value in parameters.values()} == {jnp.dtype("float32")}
    apply = jax.jit(tower.apply)
    embeddings = apply(parameters, inputs)
    assert (embeddings.shape, embeddings.dtype) == ((2, tower.output_width), jnp.float32)
    assert np.isfinite(embeddings).all() and np.abs(embeddings).max() > 0
    np.testing.assert_array_equal(embeddings, apply(parameters, inputs))
    other = tower.initialise(jax.random.key(1))
    assert not np.array_equal(embeddings, apply(other, inputs))


# A ViT's files lack a parameter of a random start: the class token's position.
@pytest.mark.parametrize("name", [name for name in TOWERS if name != "vit"])
def test_parameters_round_trip_under_their_names_in_files(name):
    tower, _ = TOWERS[name]()
    parameters = {key: np.asarray(value) for key, value in tower.initialise(jax.random.key(0)).items()}
    found = tower.read_parameters(tower.write_parameters(parameters), "a file")
    assert found.keys() == parameters.keys()
    for key, value in parameters.items():
        np.testing.assert_array_equal(found[key], value)
