"""A tower whose images are resized to floats: the whole job, a pipeline of one's own, batches, and their memory."""

import apache_beam as beam
import jax
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from lit_precompute.pipelines.embed_images import EmbedImages, JaxTowerHandler
from lit_precompute.precompute.batch_size import probe
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.checking.verification import verify
from lit_precompute.towers.family import Entry
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.preprocessing import IMAGENET_DEVIATION, IMAGENET_MEAN, IMAGENET_RANGE, Preprocessing
from lit_precompute.towers.registry import register, tower_names
from tests.pipelines.embed.making import BAD, arguments, draw_image, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import FAMILY, PATCH, SIZE, TinyConfig, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]
NAME = "test-floats"
# Of sums of 48 floats: 8e-7 was seen, and processors add in other orders. Whole numbers of pixels would be off by 2e-3.
ROUNDING = 1e-5
PREPROCESSING = Preprocessing(size=SIZE, antialias=True, resampler="torch", value_range=IMAGENET_RANGE)


@pytest.fixture(scope="module", autouse=True)
def _registered():
    if NAME not in tower_names():
        register(
            NAME, Entry(family=FAMILY, config=TinyConfig(resolution=SIZE, pooling="all"), preprocessing=PREPROCESSING)
        )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("source"), 20)


@pytest.fixture
def tower(tmp_path):
    return ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz"))


def _expected(data, weights):
    """The tower by NumPy in float64, on the prepared floats."""
    pixels = prepare(decode(data), PREPROCESSING).astype(np.float64)
    assert np.abs(pixels - np.rint(pixels)).max() > 0.3
    values = (pixels / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_DEVIATION)
    side = SIZE // PATCH
    means = values.reshape(side, PATCH, side, PATCH, 3).mean(axis=(1, 3)).reshape(-1)
    return np.tanh(means @ np.load(weights)["kernel"].astype(np.float64))


@pytest.mark.parametrize("decode_in", ["threads", "processes"])
def test_a_job_embeds_the_fractions(source, tmp_path, monkeypatch, decode_in):
    options = {"tower": NAME, "dtype": "float32", "views": 1, "decode_in": decode_in}
    assert run(monkeypatch, *arguments(source, tmp_path / "out", **options)) == 0
    assert verify(tmp_path / "out") == []
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.num_failures == len(BAD)
    assert manifest.towers["embeddings"].preprocessing["resampler"] == "torch"
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        keys, vectors = dataset.keys().to_pylist(), dataset.rows(0, len(dataset)).vectors()
    assert len(keys) == 20
    for key, vector in zip(keys, vectors, strict=True):
        expected = _expected((source.parent / key).read_bytes(), source.parent / "weights.npz")
        np.testing.assert_allclose(vector, expected, rtol=0, atol=ROUNDING)


def test_threads_and_processes_give_the_same_bytes(source, tmp_path, monkeypatch):
    for kind in ("threads", "processes"):
        assert run(monkeypatch, *arguments(source, tmp_path / kind, tower=NAME, decode_in=kind)) == 0
    assert files_of(tmp_path / "threads") == files_of(tmp_path / "processes")


def test_pipelines_of_ones_own_take_it(tower):
    images = [(f"image {number}", draw_image(number)) for number in range(6)]
    handler = JaxTowerHandler(tower, batch_size=4)
    prepared = [handler.prepare(data) for _, data in images]
    assert {(image.dtype.name, image.shape) for image in prepared} == {("float32", (SIZE, SIZE, 3))}
    expected = {key: _expected(data, tower.weights) for key, data in images}
    names = {image.tobytes(): key for image, (key, _) in zip(prepared, images, strict=True)}

    def check(found):
        found = dict(found)
        assert found.keys() == expected.keys()
        for key, vector in found.items():
            np.testing.assert_allclose(vector, expected[key], rtol=0, atol=ROUNDING)

    threads = DecodingOptions(decode_in="threads", decode_workers=2)
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        embedded = pipeline | "bytes" >> beam.Create(images) | EmbedImages(tower, batch_size=4, decoding=threads)
        assert_that(embedded.embeddings, check, label="embeddings")
        results = pipeline | "prepared" >> beam.Create(prepared) | RunInference(handler)
        named = results | beam.Map(lambda result: (names[result.example.tobytes()], result.inference))
        assert_that(named, check, label="inferences")


def test_batches_have_the_pixels_type(tower):
    loaded = load_tower(NAME, tower.weights)
    embedder = Embedder(loaded, batch_size=3)
    batch = embedder.take_batch()
    assert batch.dtype == np.float32 and batch.shape == (4, SIZE, SIZE, 3)  # for two devices
    assert jax.local_device_count() == 2
    with pytest.raises(TypeError, match="float32"):
        embedder.start(np.zeros(batch.shape, np.uint8))
    assert probe(loaded, num_rows=20)[-1].batch_size >= 8
