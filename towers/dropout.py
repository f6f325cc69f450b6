"""Dropout that is a function of one random key per row.

Promises: which values of a row are dropped depends on its key and on the layer alone, not on the other rows: a batch
that is cut into micro-batches, and a row that is computed a second time, drop the same values. `None` in place of keys
drops nothing.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Keys = Key[Array, " n"]


def row_keys(key: Key[Array, ""], num_rows: int) -> Keys:
    """Returns a key for each row of a batch, from the batch's."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(num_rows))


def drop(values: Float[Array, "n *shape"], rate: float, keys: Keys | None, layer: int) -> Float[Array, "n *shape"]:
    """Returns the values with a share of about `rate` set to zero, and the others divided by 1 - rate.

    Args:
      values: of a layer, row by row.
      rate: in [0, 1).
      keys: one for each row; None: nothing is dropped.
      layer: a number that no other layer of the same rows has.
    """
    if keys is None or rate == 0:
        return values

    def kept(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(jax.random.fold_in(key, layer), 1 - rate, values.shape[1:])

    return jnp.where(jax.vmap(kept)(keys), values / (1 - rate), 0)


class Dropout:
    """The dropout of one pass through a network, whose places are numbered in the order in which they are reached."""

    def __init__(self, rate: float, keys: Keys | None):
        """Takes the rate in [0, 1), and the rows' keys; None: nothing is dropped."""
        self.is_active = keys is not None and rate > 0
        self._rate, self._keys, self._place = rate, keys, 0

    def __call__(self, values: Float[Array, "n *shape"]) -> Float[Array, "n *shape"]:
        """Returns what `drop` does at the next place."""
        self._place += 1
        return drop(values, self._rate, self._keys, self._place)
