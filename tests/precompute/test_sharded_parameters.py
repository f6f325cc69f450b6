"""Parameters cut over devices: embeddings are bitwise those of copies, and no device holds all parameters."""

import os
import subprocess
import sys
import types

import jax
import numpy as np
import pytest

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.sharded_parameters import axes_to_cut, do_not_fit
from lit_precompute.towers.loading import load_tower
from tests.precompute.sharded_program import ENTRIES, check_memory, compare
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights


@pytest.mark.standard_promotion  # JAX's own attention of bfloat16 needs it
@pytest.mark.parametrize(
    ("name", "compute_type"), [*((name, "float32") for name in ENTRIES if name != "vit"), ("vit-map", "bfloat16")]
)
def test_embeddings_are_bitwise_those_of_copies(name, compute_type):
    assert jax.local_device_count() == 2
    _, cut = compare(name, compute_type, 4)
    assert any(not parameter.is_fully_replicated for parameter in cut.tower.parameters.values())


def test_a_batch_that_cpus_embed_in_parts():
    """Parts are a loop, in which parameters are gathered again for each part."""
    compare("vit-map", "float32", 260)


def test_no_device_holds_all_parameters():
    check_memory(*compare("vit", "float32", 4))


def test_eight_devices():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-m", "tests.precompute.sharded_program"]
    found = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "8 devices" in found


def test_another_batch_size_uses_the_same_shards():
    _, cut = compare("vit-map", "float32", 4)
    other = cut.of_size(2)
    batch = other.take_batch()
    other.start(batch)
    assert all(other.tower.parameters[name] is parameter for name, parameter in cut.tower.parameters.items())


def test_large_parameters_are_cut_along_the_first_axis_that_divides():
    def zeros(*shape):
        return np.zeros(shape, np.float32)

    parameters = {"a": zeros(128, 256), "b": zeros(129, 254), "odd": zeros(129, 255), "small": zeros(128)}
    assert axes_to_cut(parameters, 2) == {"a": 0, "b": 1}
    assert axes_to_cut(parameters, 3) == {"b": 0, "odd": 0}


@pytest.mark.parametrize(
    ("stats", "expected"), [({"bytes_limit": 5000}, True), ({"bytes_limit": 6000}, False), (None, False)]
)
def test_a_device_has_room_for_more_than_the_parameters(stats, expected):
    parameters = {"a": np.zeros((1000,), np.float32)}
    assert do_not_fit(parameters, types.SimpleNamespace(memory_stats=lambda: stats)) is expected


def test_parameters_are_sharded_where_one_device_does_not_hold_them(monkeypatch):
    monkeypatch.setattr("lit_precompute.precompute.embedder.do_not_fit", lambda parameters, device: True)
    tower = compare("mixer", "float32", 2)[0].tower
    both = Embedder(tower, batch_size=2)
    assert not all(parameter.is_fully_replicated for parameter in both.tower.parameters.values())
    alone = Embedder(tower, batch_size=2, devices=jax.local_devices()[:1])
    assert all(parameter.is_fully_replicated for parameter in alone.tower.parameters.values())


def test_cpus_use_the_parameters_where_they_were_read(tmp_path):
    register_tiny_tower()
    tower = load_tower(NAME, write_weights(tmp_path / "weights.npz"))
    placed = Embedder(tower, batch_size=2).tower.parameters["kernel"]
    assert placed.addressable_shards[0].data.unsafe_buffer_pointer() == tower.parameters["kernel"].ctypes.data
