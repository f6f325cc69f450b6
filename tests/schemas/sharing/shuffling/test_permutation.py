import itertools

import numpy as np
import pytest

from lit_precompute.schemas.sharing.shuffling.permutation import Permutation


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 1000, 4096, 4097, 65_537])
def test_is_a_permutation_of_any_size(size):
    places = Permutation(3, size).places(np.arange(size))
    np.testing.assert_array_equal(np.sort(places), np.arange(size))


def test_a_place_is_computed_alone():
    permutation = Permutation(3, 10**12)  # of which no list could be kept
    rows = np.array([0, 1, 10**12 - 1, 123_456_789_012])
    alone = np.array([permutation.places(rows[[place]])[0] for place in range(4)])
    np.testing.assert_array_equal(permutation.places(rows), alone)
    assert len({*alone.tolist()}) == 4


def test_seeds_give_the_same_order_for_good():
    """Literal numbers of 29 November 2026: another order would be another dataset."""
    assert Permutation(0, 10).places(np.arange(10)).tolist() == [3, 9, 8, 1, 2, 4, 5, 7, 6, 0]
    assert Permutation(7, 10**9).places(np.array([0, 1, 2, 999_999_999])).tolist() == [
        532694425,
        606960215,
        400773872,
        220316666,
    ]


def test_each_order_of_four_rows_is_as_likely():
    """Chi-squared with 23 degrees of freedom: 49.7 is exceeded by one in a thousand."""
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for seed in range(1200):
        counts[tuple(Permutation(seed, 4).places(np.arange(4)).tolist())] += 1
    assert sum((count - 50) ** 2 / 50 for count in counts.values()) < 49.7


@pytest.mark.parametrize("size", [100, 1000])
def test_each_row_goes_to_each_place_as_often_and_neighbours_part(size):
    seeds, tenths = 400, np.zeros((10, 10))
    steps = np.zeros(size)
    for seed in range(seeds):
        places = Permutation(seed, size).places(np.arange(size))
        np.add.at(tenths, (np.arange(size) * 10 // size, places * 10 // size), 1)
        steps += np.bincount(np.abs(np.diff(places)), minlength=size)
    expected = seeds * size / 100
    assert ((tenths - expected) ** 2 / expected).sum() < 148  # 81 degrees of freedom, and a wide margin
    # Neighbours are as far apart as any two rows: 2 (n - d) / (n (n - 1)) are at a distance d.
    distances = np.arange(1, size)
    likely = seeds * (size - 1) * 2 * (size - distances) / (size * (size - 1))
    enough = likely >= 5
    chi_squared = ((steps[1:] - likely) ** 2 / likely)[enough].sum()
    assert chi_squared < enough.sum() + 5 * np.sqrt(2 * enough.sum())


def test_seeds_and_rows_outside_are_refused():
    with pytest.raises(ValueError, match="--seed must be >= 0, got -1"):
        Permutation(-1, 5)
    with pytest.raises(IndexError, match=r"\[0, 5\), got 5 to 5"):
        Permutation(0, 5).places(np.array([5]))
