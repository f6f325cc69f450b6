"""Embedding images in pipelines of users' own: the vectors of the tower, image by image."""

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from lit_precompute.pipelines.embed_images import EmbedImages, JaxTowerHandler
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.options import ImageTowerOptions
from tests.pipelines.embed.making import draw_image
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
THREADS = DecodingOptions(decode_in="threads", decode_workers=2)


@pytest.fixture
def tower(tmp_path):
    register_tiny_tower()
    return ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz"))


def _expected(tower, data):
    """Returns an image's embedding, in NumPy float64."""
    loaded = load_tower(NAME, tower.weights)
    image = prepare(decode(data), loaded.preprocessing).astype(np.float64) / 255 * 2 - 1
    means = image.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3)).reshape(-1)
    return np.tanh(means @ loaded.parameters["kernel"].astype(np.float64))


def _all_close(expected):
    def check(found):
        found = dict(found)
        assert found.keys() == expected.keys()
        for key, vector in found.items():
            assert vector.dtype == np.float32
            np.testing.assert_allclose(vector, expected[key], rtol=1e-5, atol=1e-5)

    return check


def test_bytes_and_paths_become_embeddings_and_bad_images_failures(tmp_path, tower):
    images = [(f"image {number}", draw_image(number)) for number in range(10)]
    (tmp_path / "there.png").write_bytes(draw_image(99))
    given = [*images, ("path", str(tmp_path / "there.png")), ("absent", str(tmp_path / "no.png")), ("words", b"words")]
    expected = {key: _expected(tower, data) for key, data in [*images, ("path", draw_image(99))]}
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        embedded = pipeline | beam.Create(given) | EmbedImages(tower, batch_size=4, decoding=THREADS)
        assert_that(embedded.embeddings, _all_close(expected), label="embeddings")
        reasons = embedded.failures | beam.Map(lambda failure: (failure.key, failure.reason))
        assert_that(reasons, equal_to([("absent", "missing"), ("words", "not-a-picture")]), label="failures")


def test_run_inference_takes_a_tower(tower):
    handler = JaxTowerHandler(tower, batch_size=4)
    images = [handler.prepare(draw_image(number)) for number in range(6)]
    expected = {image.tobytes(): _expected(tower, draw_image(number)) for number, image in enumerate(images)}
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        results = pipeline | beam.Create(images) | RunInference(handler)
        found = results | beam.Map(lambda result: (result.example.tobytes(), result.inference))
        assert_that(found, _all_close(expected))


def test_inference_arguments_are_refused(tower):
    handler = JaxTowerHandler(tower, batch_size=2)
    with pytest.raises(ValueError, match=r"takes no inference arguments, got \['temperature'\]"):
        list(handler.run_inference([], handler.load_model(), {"temperature": 1}))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_that_is_not_positive_is_refused(tower, batch_size):
    with pytest.raises(ValueError, match="batch_size must be >= 1"):
        EmbedImages(tower, batch_size=batch_size)


def test_an_image_is_prepared_as_the_tower_will_take_it(tower):
    """Without weights, whatever the resolution and the resizing."""
    square = dataclasses.replace(tower, resolution=24, resize="square")
    preprocessing = load_tower(NAME, tower.weights, resolution=16, resize="square").preprocessing
    at_24 = dataclasses.replace(preprocessing, size=24, resize_size=24)
    data = draw_image(3)
    found = JaxTowerHandler(dataclasses.replace(square, weights=None), batch_size=2).prepare(data)
    assert found.shape == (24, 24, 3)
    np.testing.assert_array_equal(found, prepare(decode(data), at_24))
