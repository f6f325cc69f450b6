"""Losses made of a loss: within groups of a batch, and over the fields of its texts.

Source: arXiv:2111.07991, appendix D (the local loss) and appendix C (text fields that are used jointly).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from lit_precompute.tune.losses.loss import Loss, LossParameters, Pairs


def within_groups(loss: Loss, group_size: int) -> Loss:
    """Returns the mean of the loss within groups of consecutive images, which must divide the batch.

    A group counts by its images that have a text, so that the mean is over all images that take part.
    """

    def value(parameters: LossParameters, images: jax.Array, texts: jax.Array, pairs: Pairs) -> jax.Array:
        num_groups = len(images) // group_size
        grouped = _split((images, texts, pairs), num_groups)
        losses = lax.map(lambda group: loss.value(parameters, *group), grouped)
        if pairs.present is None:
            return losses.mean()
        counts = pairs.present.any(axis=1).reshape(num_groups, -1).sum(axis=1).astype(jnp.float32)
        return jnp.sum(losses * counts) / jnp.maximum(counts.sum(), 1)

    return dataclasses.replace(loss, value=value)


def over_fields(loss: Loss, num_fields: int) -> Loss:
    """Returns the sum of the loss over text fields, which share its parameters.

    An image has equally many texts of each field, field after field. One without a text of a field takes no part in
    that field's loss. A text is equal to others of its own field alone.
    """

    def value(parameters: LossParameters, images: jax.Array, texts: jax.Array, pairs: Pairs) -> jax.Array:
        num_images = len(images)

        def by_field(leaf: jax.Array) -> jax.Array:
            """Returns [fields, images, texts of a field, ...] from all texts, or from [images, texts]."""
            apart = leaf.reshape(num_images, num_fields, -1, *leaf.shape[2:])
            return jnp.moveaxis(apart, 1, 0)

        fields = by_field(texts.reshape(num_images, -1, texts.shape[1])), jax.tree.map(by_field, pairs)
        each = lambda field: loss.value(  # noqa: E731 -- one expression
            parameters, images, field[0].reshape(-1, texts.shape[1]), field[1]
        )
        return lax.map(each, fields).sum()

    return dataclasses.replace(loss, value=value)


def _split(rows: Any, num_parts: int) -> Any:
    return jax.tree.map(lambda leaf: leaf.reshape(num_parts, -1, *leaf.shape[1:]), rows)
