import jax.numpy as jnp
import numpy as np
import pytest

from lit_precompute.precompute.duplicates.tiles import Tile, exact_cosines, largest, margin, similar_pairs
from tests.precompute.duplicates.making import clusters, cosines


def _pair_near(cosine, width, seed=0):
    """Returns two rows whose cosine is as good as exactly this."""
    one, other = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, 2)))[0].T
    return one.astype(np.float32), (cosine * one + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def _pairs(rows, others, threshold, tile_rows=64):
    tiles = [Tile.of(0, each, tile_rows) for each in (rows, others)]
    return set(zip(*(each.tolist() for each in similar_pairs(*tiles, largest(*tiles), threshold)), strict=True))


def test_exact_cosines_match_scikit_learn():
    rows, others = clusters(50), clusters(70, seed=1)
    np.testing.assert_allclose(exact_cosines(rows, others), cosines(rows, others), rtol=0, atol=1e-12)


def test_equal_rows_have_exactly_one_whatever_their_norms():
    rows = clusters(200)
    assert (np.diag(exact_cosines(rows, rows)) == 1).all()
    assert (np.diag(exact_cosines(rows, 2 * rows)) == 1).all()


@pytest.mark.parametrize("threshold", [0.3, 0.9, 0.97])
def test_pairs_match_scikit_learn(threshold):
    rows, others = clusters(60), clusters(50, seed=1)
    expected = np.argwhere(cosines(rows, others) >= threshold)
    assert _pairs(rows, others, threshold) == set(map(tuple, expected.tolist()))
    assert len(expected)


@pytest.mark.parametrize("width", [3, 768, 6144])
def test_the_margin_bounds_what_the_device_gets_wrong(width):
    rng = np.random.default_rng(width)
    rows = np.abs(rng.standard_normal((40, width))).astype(np.float32)  # of one sign: roundings add up
    tiles = [Tile.of(0, rows, 40), Tile.of(40, rows, 40)]
    found = np.asarray(jnp.matmul(tiles[0].unit, tiles[1].unit.T, precision="highest"), np.float64)
    assert np.abs(found - cosines(rows, rows)).max() <= margin(width)


@pytest.mark.parametrize("off", [-1e-9, 1e-9], ids=["below", "above"])
def test_pairs_at_the_threshold_are_decided_in_float64(off):
    """Closer to the threshold than float32 can tell; each pair's own cosine, moved by a billionth, is the threshold."""
    for seed in range(20):
        one, other = _pair_near(0.95, 768, seed)
        threshold = float(cosines(one[None], other[None])[0, 0]) - off
        assert bool(_pairs(one[None], other[None], threshold)) == (off > 0)


def test_a_tile_with_itself_has_each_pair_once_with_the_earlier_row_as_the_other():
    rows = clusters(60)
    tile = Tile.of(100, rows, 64)
    found = similar_pairs(tile, tile, largest(tile, tile), 0.9)
    expected = np.argwhere(np.tril(cosines(rows, rows) >= 0.9, k=-1))
    np.testing.assert_array_equal(np.stack(found, axis=1), expected)


def test_rows_of_zeros_are_similar_to_nothing():
    rows = np.zeros((2, 8), np.float32)
    assert _pairs(rows, rows, 0.1) == set()
