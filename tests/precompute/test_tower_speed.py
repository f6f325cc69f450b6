"""The speed of a tower on this machine: measured without weights, and refused where it cannot fit."""

import dataclasses

import jax
import pytest

from lit_precompute.precompute import batch_size
from lit_precompute.precompute.batch_size import DoesNotFitError
from lit_precompute.precompute.tower_speed import measure
from lit_precompute.towers.options import ImageTowerOptions
from lit_precompute.towers.registry import find_tower, register, tower_names
from tests.towers.tiny_tower import NAME, register_tiny_tower


def test_a_tower_is_timed_in_the_batches_that_a_job_would_choose(monkeypatch):
    register_tiny_tower()
    chosen = []
    real = batch_size.choose

    def choose(measured, **limits):
        chosen.extend(real(measured, **limits))
        return chosen

    monkeypatch.setattr(batch_size, "choose", choose)
    speed = measure(ImageTowerOptions(name=NAME), num_rows=16)
    assert (speed.batch_size, speed.images_per_second) == (chosen[-1].batch_size, chosen[-1].rate)
    assert [one.batch_size for one in chosen] == [8 * jax.local_device_count()]  # 16 rows fill no larger batch
    assert (speed.device, speed.num_devices, speed.compute_type) == ("cpu", jax.local_device_count(), "float32")


def test_a_tower_that_no_memory_holds_is_refused_before_it_is_drawn():
    name = "test-enormous"
    if name not in tower_names():
        entry = find_tower("vit_b16")
        register(name, dataclasses.replace(entry, config=dataclasses.replace(entry.config, width=12 * 10**5)))
    with pytest.raises(
        DoesNotFitError, match=r"test-enormous: its parameters need \d+\.\d GB here, and this machine has"
    ):
        measure(ImageTowerOptions(name=name))
