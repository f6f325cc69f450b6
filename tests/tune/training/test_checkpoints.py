"""Checkpoints: the same bits, complete or absent, and unaffected by training that continues."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lit_precompute.tune.training.checkpoints import CheckpointError, Checkpoints

# Orbax's and TensorStore's own; nothing of ours is called there.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:orbax.*")


class State(NamedTuple):
    step: jax.Array
    parameters: dict
    optimizer: object


def make_state(seed=0, width=300):
    parameters = {
        "kernel": jax.random.normal(jax.random.key(seed), (width, 40)),
        "empty": {},
        "scale": jnp.float32(2.3),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)).init(parameters)
    return State(jnp.int32(seed), parameters, optimizer)


def shapes_of(state):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)


def assert_same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert got.dtype == want.dtype
        assert np.asarray(got).tobytes() == np.asarray(want).tobytes()


def save(directory, *steps):
    checkpoints = Checkpoints(directory)
    for step in steps:
        checkpoints.save(step, make_state(step))
    checkpoints.close()


def test_the_newest_is_restored_bit_for_bit(tmp_path):
    save(tmp_path, 3, 12)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest_step() == 12
    assert_same_bits(checkpoints.restore(shapes_of(make_state())), make_state(12))
    checkpoints.close()


def test_without_a_checkpoint_the_newest_step_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path / "new")
    assert checkpoints.newest_step() is None
    checkpoints.close()


def test_the_newest_two_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]


def test_saving_the_same_step_again_changes_nothing(tmp_path):
    save(tmp_path, 5)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, make_state(6))
    checkpoints.wait()
    assert_same_bits(checkpoints.restore(shapes_of(make_state())), make_state(5))
    checkpoints.close()


def test_steps_during_a_save_do_not_change_what_is_saved(tmp_path):
    """Each step gives its buffers to the next one, which writes into them while the checkpoint is being written."""
    add_one = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1, state), donate_argnums=0)
    checkpoints = Checkpoints(tmp_path)
    state = {f"kernel{number}": jnp.zeros((512, 256)) for number in range(12)}
    for step in range(1, 41):
        state = add_one(state)
        if step % 10 == 0:
            checkpoints.save(step, state)
    checkpoints.wait()
    for values in checkpoints.restore(shapes_of(state)).values():
        np.testing.assert_array_equal(values, 40.0)
    checkpoints.close()


def test_an_incomplete_checkpoint_is_ignored(tmp_path):
    """It has the name that Orbax uses while it writes: all that is missing is the last rename."""
    save(tmp_path, 2, 7)
    (tmp_path / "7").rename(tmp_path / "7.orbax-checkpoint-tmp")
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest_step() == 2
    assert_same_bits(checkpoints.restore(shapes_of(make_state())), make_state(2))
    checkpoints.save(7, make_state(7))
    checkpoints.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "7"]


def test_another_structure_is_refused(tmp_path):
    save(tmp_path, 2)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.restore(shapes_of(make_state(width=301)))
    checkpoints.close()
