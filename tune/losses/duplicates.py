"""Which texts of a batch are equal, as numbers that a program on the device computes from the inputs themselves.

Promises: texts with equal tokens, or with equal bytes of stored embeddings, have equal numbers; two others have
different ones, except with a chance of about 2**-64. Texts that differ only beyond the tower's length are equal here.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, UInt32

from lit_precompute.schemas.vectors import StoredVectors

# The finalizer of MurmurHash3 (public domain), which spreads every bit over all others, and its constants.
_FIRST, _SECOND = 0x85EBCA6B, 0xC2B2AE35


def text_ids(inputs: Any, num_images: int, num_fields: int = 1) -> Int32[Array, "n c"]:
    """Returns numbers from 0 that are equal where texts of the same field are.

    Args:
      inputs: of all n*c texts, as tokens or as stored embeddings, c for each image, field after field.
      num_images: n.
      num_fields: text fields; the numbers of their texts differ.
    """
    words = _words(inputs)
    num_texts, num_columns = len(words), len(words) // num_images
    fields = jnp.arange(num_texts, dtype=jnp.uint32) % num_columns // (num_columns // num_fields)
    hashes = [_mixed(_hashed(words, seed) + fields) for seed in (_FIRST, _SECOND)]
    first, second, places = lax.sort((*hashes, jnp.arange(num_texts)), num_keys=2)
    is_new = (jnp.diff(first) != 0) | (jnp.diff(second) != 0)
    numbers = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(is_new, dtype=jnp.int32)])
    return jnp.zeros(num_texts, jnp.int32).at[places].set(numbers).reshape(num_images, -1)


def count_duplicates(ids: Int32[Array, "n c"], present: Bool[Array, "n c"] | None = None) -> Float32[Array, ""]:
    """Returns how many present texts equal a present text of another image."""
    num_images = len(ids)
    is_in = jnp.ones(ids.shape, bool) if present is None else present
    owners = jnp.broadcast_to(jnp.arange(num_images)[:, None], ids.shape)
    firsts = jnp.full(ids.size, num_images).at[ids].min(jnp.where(is_in, owners, num_images))
    lasts = jnp.full(ids.size, -1).at[ids].max(jnp.where(is_in, owners, -1))
    return jnp.sum(is_in & (firsts != lasts)[ids]).astype(jnp.float32)


def _words(inputs: Any) -> UInt32[Array, "m words"]:
    """Returns what makes each text's input, as whole numbers."""
    if not isinstance(inputs, StoredVectors):
        return jnp.asarray(inputs).astype(jnp.uint32)
    values = _bits(jnp.asarray(inputs.numbers))
    return values if inputs.scales is None else jnp.concatenate([values, _bits(jnp.asarray(inputs.scales)[:, None])], 1)


def _bits(values: Array) -> UInt32[Array, "m d"]:
    return lax.bitcast_convert_type(values, jnp.dtype(f"uint{8 * values.dtype.itemsize}")).astype(jnp.uint32)


def _hashed(words: UInt32[Array, "m words"], seed: int) -> UInt32[Array, " m"]:
    """Returns one hash of each row: the sum of its words, each mixed with a number of its place."""
    places = _mixed(jnp.arange(words.shape[1], dtype=jnp.uint32) + jnp.uint32(seed))
    return jnp.sum(_mixed(words ^ places), axis=1, dtype=jnp.uint32)


def _mixed(values: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    for shift, factor in ((16, _FIRST), (13, _SECOND)):
        values = (values ^ (values >> shift)) * jnp.uint32(factor)
    return values ^ (values >> 16)
