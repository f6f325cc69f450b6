"""The choice of a batch size: a pure rule over measured times, and one short probe of a real tower."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.precompute import batch_size
from lit_precompute.precompute.batch_size import DoesNotFitError, Measured, choose, probe, try_batch
from lit_precompute.precompute.embedder import Embedder
from lit_precompute.towers.loading import load_tower
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights


@pytest.fixture
def tower(tmp_path):
    register_tiny_tower()
    return load_tower(NAME, write_weights(tmp_path / "weights.npz"))


def _measured(rates):
    return [Measured(8 * 2**place, 8 * 2**place / rate) for place, rate in enumerate(rates)]


@pytest.mark.parametrize(
    ("rates", "chosen", "num_tried"),
    [
        ([100], 8, 1),
        ([100, 103], 8, 2),  # not worth a larger batch
        ([100, 150, 151, 900], 16, 3),  # what comes after a size that is no faster is not tried
        ([100, 110, 121, 133], 64, 4),
        ([100, 106, 111], 16, 3),  # 106 is within 5 % of 111
        ([5, 7, 20], 16, 2),  # a batch of 16 took 2.3 s: the next is not tried
    ],
)
def test_the_smallest_size_that_is_about_as_fast_as_any(rates, chosen, num_tried):
    seen = choose(iter(_measured(rates)), most_s=100, clock=lambda: 0.0)
    assert seen[-1].batch_size == chosen
    assert len(seen) == num_tried


def test_it_stops_when_time_is_up():
    moments = iter([0.0, 5.0, 11.0, 100.0])
    seen = choose(iter(_measured([100, 200, 400])), most_s=10, clock=lambda: next(moments))
    assert [one.batch_size for one in seen] == [8, 16]


def test_a_probe_tries_no_batch_much_larger_than_the_job(tower):
    seen = probe(tower, num_rows=20)
    assert 1 <= len(seen) <= 2
    assert {one.batch_size for one in seen} <= {16, 32}  # eight for each of the two devices, then twice that


def test_a_probe_tries_no_batch_that_a_unit_does_not_fill_four_times(tower):
    assert {one.batch_size for one in probe(tower, num_rows=None, rows_per_unit=127)} == {16}
    tried = {one.batch_size for one in probe(tower, num_rows=1_000_000, rows_per_unit=128)}
    assert tried <= {16, 32}


def test_a_batch_that_does_not_fit_ends_the_probe(tower, monkeypatch):
    def start(self, images):
        if self.batch_size > 16:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return jnp.zeros(1)

    monkeypatch.setattr(batch_size.Embedder, "start", start)
    assert [one.batch_size for one in probe(tower, num_rows=1000)] == [16]


def test_a_device_too_small_for_any_batch_is_an_error_in_words(tower, monkeypatch):
    def start(self, images):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(batch_size.Embedder, "start", start)
    with pytest.raises(DoesNotFitError, match=r"a batch of 16 images does not fit the memory .*give a smaller"):
        probe(tower, num_rows=1000)
    with pytest.raises(DoesNotFitError, match="a batch of 1 image does not fit the memory"):
        try_batch(Embedder(tower, batch_size=1))


def test_a_towers_own_error_is_not_taken_for_a_lack_of_memory(tower):
    def broken(parameters, images):
        raise TypeError("no such thing")

    with pytest.raises(TypeError, match="no such thing"):
        probe(dataclasses.replace(tower, apply=broken), num_rows=10)


def test_the_chosen_size_comes_with_what_was_compiled_for_it(tower):
    chosen = probe(tower, num_rows=20)[-1]
    assert chosen.embedder is not None and chosen.embedder.batch_size == chosen.batch_size
    assert "_function" in vars(chosen.embedder), "compiled"


def test_embedders_of_two_sizes_share_the_parameters_and_give_the_same_embeddings(tower):
    first = Embedder(tower, batch_size=2)
    second = first.of_size(3)
    images = np.random.default_rng(0).integers(0, 256, second.take_batch().shape, np.uint8)
    batch = first.take_batch()
    batch[:] = images[: len(batch)]
    np.testing.assert_allclose(first.start(batch)[:2], second.start(images)[:2], atol=1e-6)
    assert second._parameters is first._parameters
