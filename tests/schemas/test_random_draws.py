"""Random numbers as functions: SplitMix64's published values."""

import numpy as np

from lit_precompute.schemas import random_draws


def test_matches_splitmix64():
    """The first outputs of the reference C program (Vigna, splitmix64.c) for the seed 1234567."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    # The reference adds its constant before it mixes; here the position is the number of additions.
    assert random_draws.draw(1234567, np.arange(1, 6)).tolist() == expected


def test_uses_and_numbers_have_keys_of_their_own():
    uses = (random_draws.ROWS, random_draws.BLOCKS, random_draws.SELECTED)
    keys = [random_draws.make_key(seed, use, *epoch) for seed in (0, 1) for use in uses for epoch in ((), (1,))]
    assert len({*keys}) == len(keys)
