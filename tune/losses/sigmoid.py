"""The exact sigmoid loss over a whole batch, in memory linear in the batch size.

Promises: loss and gradients are those of the full matrix, at any size, in one pass over its tiles that computes both.
A locked image side takes two products of the matrix's size in all, a trained one three.

Source: arXiv:2303.15343, section 3.1. With texts U, images V, A = s U V' + b, and I of the pairs that belong together:
  L = (1/n) (sum_ij softplus(A_ij) - sum_ij I_ij A_ij), G = (sigmoid(A) - I)/n, dU = s G V, dV = s G' U,
  dL/db = sum_ij G_ij, dL/dlog s = <U, dU>.
With several texts for each image, each is a pair of its own, and n stays the number of images. Images without a text
are not counted; absent texts, and pairs of an image and a text that equals its own, add nothing.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from lit_precompute.tune.losses.loss import ONE_EACH, Loss, Pairs
from lit_precompute.tune.losses.options import SigmoidOptions
from lit_precompute.tune.losses.tiles import (
    TileSizes,
    choose_sizes,
    dot,
    make_sides,
    over_tiles,
    row_sums,
    similarities,
)


def make_loss(options: SigmoidOptions, *, tile_rows: int, tile_columns: int, image_is_trained: bool) -> Loss:
    """Returns the loss with the parameters `log_scale` and `bias`; see `losses.make_loss`."""
    sizes = TileSizes(tile_rows, tile_columns)
    return Loss(
        initialise=lambda: {
            "log_scale": jnp.float32(math.log(options.initial_scale)),
            "bias": jnp.float32(options.initial_bias),
        },
        value=lambda parameters, images, texts, pairs: sigmoid_loss(
            images, texts, parameters["log_scale"], parameters["bias"], pairs, sizes, image_is_trained
        ),
        scale=lambda parameters: jnp.exp(parameters["log_scale"]),
        bias=lambda parameters: parameters["bias"],
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def sigmoid_loss(
    images: Float[Array, "n d"],
    texts: Float[Array, "m d"],
    log_scale: Float[Array, ""],
    bias: Float[Array, ""],
    pairs: Pairs = ONE_EACH,
    sizes: TileSizes | None = None,
    image_gradient: bool = False,
) -> Float32[Array, ""]:
    """Returns the loss, in nats; 0 where no text is present.

    Args:
      images: unit-norm rows; row i has the texts i*c to i*c + c - 1, where m is n*c.
      texts: unit-norm rows.
      log_scale: natural log of the scale.
      bias: what is added to scaled similarities.
      pairs: which texts are present, and which are equal.
      sizes: of tiles; they affect speed and memory, not the result. None: those that suit the device.
      image_gradient: whether the image side is trained; if not, its gradient is zero and costs nothing.
    """
    return _forward(images, texts, log_scale, bias, pairs, sizes, image_gradient)[0]


class _Sums(NamedTuple):
    """Sums over all pairs, by text or by image; `vectors` are of sigmoid(A) times the other side's vectors."""

    losses: jax.Array
    sigmoids: jax.Array
    vectors: jax.Array


def _forward(
    images: jax.Array,
    texts: jax.Array,
    log_scale: jax.Array,
    bias: jax.Array,
    pairs: Pairs,
    sizes: TileSizes | None,
    image_gradient: bool,
):
    scale, num_images = jnp.exp(log_scale.astype(jnp.float32)), len(images)
    present = jnp.ones((num_images, len(texts) // num_images), bool) if pairs.present is None else pairs.present
    of_texts, of_images = _all_sums(images, texts, scale, bias, pairs, sizes, image_gradient)
    wide_images, grouped = images.astype(jnp.float32)[:, None], texts.astype(jnp.float32).reshape(*present.shape, -1)
    own = present.astype(jnp.float32)
    logits = scale * jnp.sum(wide_images * grouped, axis=-1) + bias
    count = jnp.maximum(present.any(axis=1).sum(), 1).astype(jnp.float32)
    loss = jnp.sum(of_texts.losses.reshape(own.shape) - own * logits) / count
    text_gradient = scale / count * (of_texts.vectors - (own[:, :, None] * wide_images).reshape(texts.shape))
    log_scale_gradient = jnp.sum(texts.astype(jnp.float32) * text_gradient)
    bias_gradient = jnp.sum(of_texts.sigmoids.reshape(own.shape) - own) / count
    image_result = jnp.zeros(images.shape)
    if of_images is not None:
        image_result = scale / count * (of_images - (own[:, :, None] * grouped).sum(axis=1))
    return loss, (
        image_result.astype(images.dtype),
        text_gradient.astype(texts.dtype),
        log_scale_gradient.astype(log_scale.dtype),
        bias_gradient.astype(bias.dtype),
    )


def _backward(sizes: TileSizes | None, image_gradient: bool, kept: tuple[jax.Array, ...], loss_gradient: jax.Array):
    del sizes, image_gradient
    return *((loss_gradient * each).astype(each.dtype) for each in kept), None


sigmoid_loss.defvjp(_forward, _backward)


def _all_sums(
    images: jax.Array,
    texts: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    pairs: Pairs,
    sizes: TileSizes | None,
    both: bool,
) -> tuple[_Sums, jax.Array | None]:
    """Returns the sums of each text and, when `both`, sigmoid(A)' U of each image (otherwise None)."""
    width = images.shape[1]

    def step(rows: Any, columns: Any, of_rows: _Sums, of_columns: Any):
        (tile_texts, _), (tile_images, _) = rows, columns
        # What takes no part stays far below zero: both its loss and its sigmoid are exactly 0.
        logits = similarities(tile_texts, tile_images, scale) + bias
        small = jnp.exp(-jnp.abs(logits))
        losses = jnp.maximum(logits, 0.0) + jnp.log1p(small)
        sigmoids = jnp.where(logits >= 0, 1.0, small) / (1.0 + small)
        if both:
            of_columns = of_columns + dot(sigmoids.T, tile_texts.vectors.astype(jnp.float32))
        products = dot(sigmoids, tile_images.vectors.astype(jnp.float32))
        found = _Sums(row_sums(losses), row_sums(sigmoids), products)
        return jax.tree.map(jnp.add, of_rows, found), of_columns

    rows, columns = make_sides(images, texts, pairs)
    return over_tiles(
        step,
        (rows, None),
        (columns, None),
        lambda count: _Sums(jnp.zeros(count), jnp.zeros(count), jnp.zeros((count, width))),
        lambda count: jnp.zeros((count, width)) if both else None,
        sizes or choose_sizes(),
    )
