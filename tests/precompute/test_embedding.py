"""Embedding a unit: rows keep their order, failures are reported, one shape is compiled, few rows are read ahead."""

import dataclasses
import gc
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from lit_precompute.precompute import embedding
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.embedding import TowerUse, embed_examples, make_preparer
from lit_precompute.precompute.images import ahead
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.images.preprocessing import prepare
from lit_precompute.precompute.sources.source import Example
from lit_precompute.towers.loading import load_tower
from lit_precompute.towers.preprocessing import Scale
from tests.precompute.images.reads import read_by
from tests.towers.tiny_tower import NAME, PATCH, SIZE, register_tiny_tower, write_weights

SEED = 5


@pytest.fixture
def tower(tmp_path):
    register_tiny_tower()
    return load_tower(NAME, write_weights(tmp_path / "weights.npz", seed=SEED))


def _image(number):
    return np.random.default_rng(number).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def _png(number):
    stream = io.BytesIO()
    Image.fromarray(_image(number)).save(stream, "PNG")
    return stream.getvalue()


def _example(number, read=None):
    return Example(
        key=f"k{number}", source=f"{number}.png", read_image=read_by(read or (lambda: _png(number))), texts=(), label=""
    )


def _preparer(*uses, threads=2):
    return make_preparer(uses, decode_in="threads", num_workers=threads)


def _embed(examples, tower, batch_size, threads, **use):
    """Yields the batches of one tower, whose embeddings are of one view."""
    use = TowerUse(embedder=Embedder(tower, batch_size=batch_size), **use)
    return _of_one_view(embed_examples(examples, [use], _preparer(use, threads=threads)))


def _of_one_view(batches):
    for number, batch in batches:
        assert number == 0 and len(batch.vectors) == 1
        yield batch._replace(vectors=batch.vectors[0])


def _batch(embedder, *images):
    batch = embedder.take_batch()
    batch[: len(images)] = images
    return batch


def _expected(number):
    """The tiny tower by NumPy in float64."""
    kernel = np.random.default_rng(SEED).standard_normal(((SIZE // PATCH) ** 2 * 3, 12)).astype(np.float32)
    side = SIZE // PATCH
    values = _image(number) / 255 * 2 - 1
    means = values.reshape(side, PATCH, side, PATCH, 3).mean(axis=(1, 3)).reshape(-1)
    return np.tanh(means @ kernel.astype(np.float64))


@pytest.mark.parametrize("threads", [1, 7])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
def test_rows_keep_their_order_whatever_the_threads(tower, threads, count):
    batches = list(_embed(map(_example, range(count)), tower, 4, threads))
    assert [example.key for batch in batches for example in batch.examples] == [f"k{number}" for number in range(count)]
    assert [len(batch.examples) for batch in batches] == [4] * (count // 4) + [count % 4] * (count % 4 > 0)
    for number, vector in enumerate(vector for batch in batches for vector in batch.vectors):
        np.testing.assert_allclose(vector, _expected(number), rtol=1e-5, atol=1e-6)


def test_failures_are_reported_and_leave_no_gap(tower):
    def gone():
        raise ImageError("missing", "no file at x.png")

    reads = {1: gone, 2: lambda: b"", 5: lambda: b"not an image", 6: lambda: _png(6)[:40]}
    examples = [_example(number, reads.get(number)) for number in range(8)]
    batches = list(_embed(examples, tower, 3, 2))
    failures = [failure for batch in batches for failure in batch.failures]
    assert [(failure.key, failure.source, failure.reason) for failure in failures] == [
        ("k1", "1.png", "missing"),
        ("k2", "2.png", "empty"),
        ("k5", "5.png", "not-a-picture"),
        ("k6", "6.png", "truncated"),
    ]
    assert [example.key for batch in batches for example in batch.examples] == ["k0", "k3", "k4", "k7"]
    np.testing.assert_allclose(batches[-1].vectors[-1], _expected(7), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "vector_type", "message"),
    [
        (np.nan, "float32", "1 of 12 numbers are NaN or infinite; the largest finite one is "),
        (-np.inf, "float16", "1 of 12 numbers are NaN or infinite; the largest finite one is "),
        (1e30, "float16", "the largest finite one is 1e+30, too large for float16; these types hold it: float32, "),
    ],
)
def test_an_embedding_that_cannot_be_stored_is_a_failure(tower, value, vector_type, message):
    """The other rows, in the same batch and in others, keep their order and their bytes."""
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(white).save(stream, "PNG")

    def apply(parameters, images):
        vectors = tower.apply(parameters, images)
        return vectors.at[:, 3].set(jnp.where((images >= 1).all(axis=(1, 2, 3)), value, vectors[:, 3]))

    odd = dataclasses.replace(tower, apply=apply)
    examples = [_example(number, stream.getvalue if number in (1, 5, 6) else None) for number in range(8)]
    batches = list(_embed(examples, odd, 4, 2, vector_type=vector_type))
    failures = [failure for batch in batches for failure in batch.failures]
    assert [(failure.key, failure.source, failure.reason) for failure in failures] == [
        (f"k{number}", f"{number}.png", "not-finite") for number in (1, 5, 6)
    ]
    assert all(f"the embedding cannot be stored: {message}" in failure.message for failure in failures)
    assert [[example.key for example in batch.examples] for batch in batches] == [["k0", "k2", "k3"], ["k4", "k7"]]
    found = np.concatenate([batch.vectors for batch in batches])
    undisturbed = np.concatenate([batch.vectors for batch in _embed(examples, tower, 4, 2)])
    np.testing.assert_array_equal(found, undisturbed[[0, 2, 3, 4, 7]])


def test_views_are_batches_of_the_same_function_and_a_row_fails_with_any_of_them(tower):
    """Images are white on the left; some views lie in the white part, of which the embedding is not finite."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 255
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    shapes = []

    def apply(parameters, images):
        shapes.append(images.shape)
        is_white = (images >= 1).all(axis=(1, 2, 3))
        return tower.apply(parameters, images) + jnp.where(is_white, jnp.nan, 0)[:, None]

    use = TowerUse(embedder=Embedder(dataclasses.replace(tower, apply=apply), batch_size=4), num_views=2)
    examples = [_example(number, stream.getvalue) for number in range(30)]
    batches = [batch for _, batch in embed_examples(examples, [use], _preparer(use))]
    prepared = {
        example.key: [prepare(image, each, example.key) for each in use.preprocessings()] for example in examples
    }
    white = {key: [bool((each == 255).all()) for each in images] for key, images in prepared.items()}
    failures = {failure.key: failure.message for batch in batches for failure in batch.failures}
    assert set(failures) == {key for key, views in white.items() if any(views)}
    assert 2 < len(failures) < 28
    for key, message in failures.items():
        view = white[key].index(True)
        assert message.startswith(f"the embedding of view {view} cannot be stored: 12 of 12 numbers are NaN")
    for batch in batches:
        for row, example in enumerate(batch.examples):
            for view, pixels in enumerate(prepared[example.key]):
                expected = np.asarray(use.embedder.start(_batch(use.embedder, pixels)))[0]
                np.testing.assert_allclose(batch.vectors[view, row], expected, rtol=1e-6, atol=1e-6)
    assert shapes == [(2, SIZE, SIZE, 3)]


def test_two_towers_share_one_decoding_and_each_has_its_own_batches_and_failures(tower, monkeypatch):
    """The second squeezes to the same pixels; the third needs others, and finds a strip too narrow for them."""
    decoded, opened = [], ahead.open_image

    def count(data, **options):
        decoded.append(data)
        return opened(data, **options)

    monkeypatch.setattr(ahead, "open_image", count)
    stream = io.BytesIO()
    Image.fromarray(np.zeros((1, 70_000, 3), np.uint8)).save(stream, "PNG")
    ranged = dataclasses.replace(
        tower, preprocessing=dataclasses.replace(tower.preprocessing, value_range=Scale(low=0))
    )
    keeping = dataclasses.replace(tower.preprocessing, resize="short_side", resize_size=1024, crop="central")
    narrow = dataclasses.replace(tower, preprocessing=keeping)
    uses = [TowerUse(embedder=Embedder(each, batch_size=size)) for each, size in ((tower, 4), (ranged, 3), (narrow, 5))]
    preparer = _preparer(*uses)
    assert len(preparer.preprocessings) == 2
    examples = [_example(number, stream.getvalue if number == 1 else None) for number in range(8)]
    found = list(embed_examples(examples, uses, preparer))
    assert len(decoded) == 8
    for number, use in enumerate(uses):
        alone = [batch for _, batch in embed_examples(examples, [use], _preparer(use))]
        together = [batch for place, batch in found if place == number]
        for one, other in zip(together, alone, strict=True):
            assert [example.key for example in one.examples] == [example.key for example in other.examples]
            np.testing.assert_array_equal(one.vectors, other.vectors)
            assert one.failures == other.failures
        assert [each.key for batch in together for each in batch.failures] == (["k1"] if number == 2 else [])


def test_rows_that_wait_for_their_batch_do_not_hold_their_encoded_images(tower):
    ((example,),) = [batch.examples for batch in _embed([_example(0)], tower, 4, 1)]
    with pytest.raises(AssertionError, match="read once"):
        example.read_image()


def test_only_failures_give_one_batch_without_rows(tower):
    (batch,) = _embed([_example(0, lambda: b"")], tower, 3, 1)
    assert batch.examples == [] and batch.vectors.shape == (0, 12) and len(batch.failures) == 1


def test_another_error_of_a_read_is_raised(tower):
    def lost():
        raise ConnectionError("the store went away")

    with pytest.raises(ConnectionError, match="went away"):
        list(_embed([_example(0, lost)], tower, 2, 2))


def test_one_shape_is_compiled(tower):
    shapes = []

    def apply(parameters, images):
        shapes.append(images.shape)  # runs once per trace
        return tower.apply(parameters, images)

    list(_embed(map(_example, range(11)), dataclasses.replace(tower, apply=apply), 4, 2))
    assert shapes == [(2, SIZE, SIZE, 3)]  # each of the two devices takes half of a batch


def test_a_reused_batch_leaves_nothing_in_the_next_unit(tower):
    """Zeros fill the last batch of a unit, so that its bytes depend on that unit alone."""
    started = []

    class Watched(Embedder):
        def start(self, batch):
            started.append((id(batch), batch.copy()))
            return super().start(batch)

    use = TowerUse(embedder=Watched(tower, batch_size=4))
    preparer = _preparer(use)
    for _ in range(2):
        batches = _of_one_view(embed_examples(map(_example, range(21)), [use], preparer))
        vectors = [vector for batch in batches for vector in batch.vectors]
        for number, vector in enumerate(vectors):
            np.testing.assert_allclose(vector, _expected(number), rtol=1e-5, atol=1e-6)
    assert len({name for name, _ in started}) <= 4 < len(started) == 12
    assert not started[5][1][1:].any() and not started[11][1][1:].any()


@pytest.mark.parametrize(("backend", "kind"), [("cpu", "threads"), ("gpu", "processes"), ("tpu", "processes")])
def test_images_are_decoded_in_processes_for_an_accelerator(tower, monkeypatch, backend, kind):
    for name in ("threads", "processes"):
        monkeypatch.setattr(embedding, f"Preparing{name.title()}", lambda *_, name=name, **given: (name, given))
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    use = TowerUse(embedder=Embedder(tower, batch_size=4))
    found, made = make_preparer([use], decode_in="auto", num_workers=3)
    assert found == kind
    assert made["num_workers"] == 3 and made["ahead"] == 8


def test_few_rows_are_read_ahead(tower):
    taken = []

    def examples():
        for number in range(100):
            taken.append(number)
            yield _example(number)

    batches = _embed(examples(), tower, 4, 2)
    next(batches)
    assert len(taken) <= 4 * (1 + 2 + 2) + 1
    batches.close()
    assert len(taken) < 30


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_devices_share_a_batch_and_compute_the_same_as_one(tower, batch_size):
    """A batch that the devices cannot divide evenly is padded; rows come back in their order."""
    assert jax.local_device_count() == 2
    shared = Embedder(tower, batch_size=batch_size)
    alone = Embedder(tower, batch_size=batch_size, devices=jax.local_devices()[:1])
    images = [_image(number) for number in range(batch_size)]
    found = shared.start(_batch(shared, *images))
    assert found.shape == (-(-batch_size // 2) * 2, 12)
    assert [shard.data.shape[0] for shard in found.addressable_shards] == [-(-batch_size // 2)] * 2
    np.testing.assert_allclose(
        np.asarray(found)[:batch_size], np.asarray(alone.start(_batch(alone, *images))), rtol=1e-6, atol=1e-7
    )


def test_no_batch_of_images_stays_in_memory(tower):
    of_others = jax.live_arrays()
    embedder = Embedder(tower, batch_size=4)
    np.asarray(embedder.start(_batch(embedder, _image(0))))
    gc.collect()
    left = [array for array in jax.live_arrays() if not any(array is other for other in of_others)]
    assert not [array for array in left if array.dtype == np.uint8]


def test_another_shape_is_refused_and_not_compiled_too(tower):
    embedder = Embedder(tower, batch_size=2)
    with pytest.raises(TypeError, match="compiled"):
        embedder.start(np.zeros((4, SIZE, SIZE, 3), np.uint8))
