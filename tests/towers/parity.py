"""How a tower is compared with its oracle."""

import pathlib

import jax
import numpy as np

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "towers"


def golden(family, name):
    """Returns one of the arrays that `make oracles` computes afresh."""
    with np.load(GOLDEN / f"{family}.npz") as file:
        return file[name]


def assert_parity(tower, images, expected, tolerance=1e-4):
    """Compares relative to the vectors' size: two orders of summing in float32, many layers deep."""
    found = np.asarray(jax.jit(tower.apply)(dict(tower.parameters), images))
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(expected).mean() > 0.01  # not all zeros, where any tower would agree
    # Embeddings differ by more than the tolerance, or any constant would do.
    assert np.abs(expected[0] - expected[1]).max() > 10 * tolerance * np.abs(expected).max()
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def cosines(found, expected):
    """Returns the cosine of each row with its own."""
    return (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
