"""Draws among a field's texts, as functions of the seed, the epoch and the row's number."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from lit_precompute.tune.data import random_draws

# A shuffled text is one of so many arrangements.
NUM_ARRANGEMENTS = 2**32


def draw_texts(
    seed: int,
    epoch: int,
    row_numbers: Int64[np.ndarray, " n"],
    counts: Int64[np.ndarray, " n"],
    *,
    stream: int = 0,
    most: int = 1,
    shares: Sequence[float] | None = None,
) -> Int64[np.ndarray, "n {most}"]:
    """Returns which of its texts each row contributes in an epoch, without repetition; -1 where it has no more.

    Args:
      seed: the recipe's.
      epoch: from 0.
      row_numbers: what is drawn for.
      counts: how many texts each has.
      stream: other streams have other draws.
      most: how many texts a row contributes at most.
      shares: how often the first, second ... text is drawn, others never; None: all equally often.
    """
    choices = np.full((len(counts), most), -1)
    left = None if shares is None else _weights(counts, shares)
    for number in range(most):
        # A key's numbers are padded with zeros: the first draw of the first stream is that of (seed, epoch) alone.
        key = random_draws.make_key(seed, random_draws.TEXTS, epoch, *((stream, number) if stream or number else ()))
        if left is None:
            chosen, has_more = _choose_another(key, row_numbers, counts, choices[:, :number])
        else:
            has_more = np.logical_or.reduce(left > 0, axis=1)
            chosen = random_draws.choose_weighted(key, row_numbers, np.where(has_more[:, None], left, 1.0))
            left[np.arange(len(left)), chosen] = 0
        choices[:, number] = np.where(has_more, chosen, -1)
    return choices


def draw_arrangement(
    seed: int, epoch: int, row_numbers: Int64[np.ndarray, " n"], *, stream: int = 0
) -> Int64[np.ndarray, " n"]:
    """Returns the number of the arrangement in which each row's texts are shuffled in an epoch."""
    counts = np.full(len(row_numbers), NUM_ARRANGEMENTS)
    return draw_texts(seed, epoch, row_numbers, counts, stream=stream)[:, 0]


def _weights(counts: Int64[np.ndarray, " n"], shares: Sequence[float]) -> np.ndarray:
    """Returns the share of each text that a row has; 0 of others."""
    return np.where(np.arange(len(shares)) < counts[:, None], np.array(shares), 0.0)


def _choose_another(
    key: int, row_numbers: Int64[np.ndarray, " n"], counts: Int64[np.ndarray, " n"], before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns one of each row's texts that was not chosen before, and whether there is one."""
    left = counts - before.shape[1]
    chosen = random_draws.choose(key, row_numbers, np.maximum(left, 0))
    for earlier in np.sort(before, axis=1).T:  # the chosen-th of those that are left, in order
        chosen += chosen >= earlier
    return chosen, left > 0
