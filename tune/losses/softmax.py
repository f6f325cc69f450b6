"""The exact softmax contrastive loss over a whole batch, in memory linear in the batch size.

Promises: loss and gradients are those of the full matrix, at any size. The forward pass keeps one log-sum-exp per
text and image; the backward pass computes the gradient from them, tile by tile. A locked image side takes three
products of the matrix's size in all, a trained one four. Not here: encoding and micro-batches (`gradient_cache`).

Source: arXiv:2111.07991, section 3.1 and appendix D (the global loss). With texts U, images V, Z = s U V', and r and c
the log-sum-exps of Z's rows and columns:
  L = (1/2n) sum_i (r_i + c_i - 2 Z_ii)
  dU = (s/2n) (W V - 2 V), dV = (s/2n) (W' U - 2 U), W_ij = exp(Z_ij - r_i) + exp(Z_ij - c_j), dL/dlog s = <U, dU>.

With several texts for each image, of which some may be absent (arXiv:2004.11362, equation 2, L_out): a text's term is
r - Z, averaged over the P present texts; an image's term is c less the mean Z of its own k texts, averaged over the Q
images that have a text. So W = exp(Z - r) + (P/Q) exp(Z - c), an own text's weight 2 becomes 1 + P/(Q k), and n is P.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from lit_precompute.tune.losses.loss import ONE_EACH, Loss, Pairs
from lit_precompute.tune.losses.options import SoftmaxOptions
from lit_precompute.tune.losses.tiles import (
    Side,
    TileSizes,
    choose_sizes,
    dot,
    make_sides,
    over_tiles,
    row_sums,
    similarities,
)

# Guards the normalisation of zero rows, as in big_vision.
NORM_EPSILON = 1e-8


def make_loss(options: SoftmaxOptions, *, tile_rows: int, tile_columns: int, image_is_trained: bool) -> Loss:
    """Returns the loss with one parameter, `log_scale`; see `losses.make_loss`."""
    sizes = TileSizes(tile_rows, tile_columns)
    return Loss(
        initialise=lambda: {"log_scale": jnp.float32(math.log(options.initial_scale))},
        value=lambda parameters, images, texts, pairs: contrastive_loss(
            images, texts, parameters["log_scale"], pairs, sizes, image_is_trained
        ),
        scale=lambda parameters: jnp.exp(parameters["log_scale"]),
    )


def unit_rows(embeddings: Float[Array | np.ndarray, "n d"]) -> Float32[Array, "n d"]:
    """Returns each row divided by its norm plus 1e-8; rows of zeros stay zeros, with finite gradients."""
    vectors = jnp.asarray(embeddings, jnp.float32)
    squares = jnp.sum(vectors * vectors, axis=-1, keepdims=True)
    # The square root's slope at zero is infinite, so rows of zeros never reach it.
    norms = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
    return vectors / (norms + NORM_EPSILON)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def contrastive_loss(
    images: Float[Array, "n d"],
    texts: Float[Array, "m d"],
    log_scale: Float[Array, ""],
    pairs: Pairs = ONE_EACH,
    sizes: TileSizes | None = None,
    image_gradient: bool = False,
) -> Float32[Array, ""]:
    """Returns the loss, in nats; 0 where no text is present.

    Args:
      images: unit-norm rows; row i has the texts i*c to i*c + c - 1, where m is n*c.
      texts: unit-norm rows.
      log_scale: natural log of the scale, that is of 1/temperature.
      pairs: which texts are present, and which are equal.
      sizes: of tiles; they affect speed and memory, not the result. None: those that suit the device.
      image_gradient: whether the image side is trained; if not, its gradient is zero and costs nothing.
    """
    return _forward(images, texts, log_scale, pairs, sizes, image_gradient)[0]


class _Shares(NamedTuple):
    """What each text and image counts.

    Attributes:
      present: 1 where an image has the text, otherwise 0.
      own: the weight of an own text's similarity, as a share of the image's.
      num_texts: P, at least 1.
      num_images: Q, at least 1.
    """

    present: Float32[Array, "n c"]
    own: Float32[Array, "n c"]
    num_texts: Float32[Array, ""]
    num_images: Float32[Array, ""]


def _shares(num_images: int, num_texts: int, pairs: Pairs) -> _Shares:
    shape = num_images, num_texts // num_images
    present = jnp.ones(shape) if pairs.present is None else pairs.present.astype(jnp.float32)
    of_image = present.sum(axis=1, keepdims=True)
    texts, images = (jnp.maximum(count, 1.0) for count in (present.sum(), (of_image > 0).astype(jnp.float32).sum()))
    return _Shares(present, present * (1 + texts / (images * jnp.maximum(of_image, 1.0))), texts, images)


def _forward(images: jax.Array, texts: jax.Array, log_scale: jax.Array, pairs: Pairs, sizes: TileSizes | None, _: bool):
    scale = jnp.exp(log_scale.astype(jnp.float32))
    shares = _shares(len(images), len(texts), pairs)
    rows, columns = _log_sums(*make_sides(images, texts, pairs), scale, sizes or choose_sizes())
    # Where nothing takes part a log-sum-exp is that of excluded similarities, and counts nothing.
    is_present = shares.present > 0
    rows = jnp.where(is_present, rows.reshape(is_present.shape), 0.0)
    columns = jnp.where(is_present.any(axis=1), columns, 0.0)
    grouped = texts.astype(jnp.float32).reshape(*is_present.shape, -1)
    own = scale * jnp.sum(images.astype(jnp.float32)[:, None] * grouped, axis=-1)
    of_texts = rows.sum(axis=1) * (shares.num_images / shares.num_texts)
    of_own = (shares.own * own).sum(axis=1) * (shares.num_images / shares.num_texts)
    loss = jnp.sum(0.5 * (of_texts + columns) - 0.5 * of_own) / shares.num_images
    return loss, (images, texts, log_scale, pairs, rows, columns)


def _backward(sizes: TileSizes | None, image_gradient: bool, kept: tuple[Any, ...], loss_gradient: jax.Array):
    images, texts, log_scale, pairs, rows, columns = kept
    scale = jnp.exp(log_scale.astype(jnp.float32))
    shares = _shares(len(images), len(texts), pairs)
    columns = columns - jnp.log(shares.num_texts / shares.num_images)
    sides = make_sides(images, texts, pairs)
    text_sums, image_sums = _weighted_sums(
        *sides, scale, rows.reshape(-1), columns, sizes or choose_sizes(), both=image_gradient
    )
    factor = loss_gradient * scale / (2 * shares.num_texts)
    own, (num_images, width) = shares.own[:, :, None], images.shape
    own_images = (own * images.astype(jnp.float32)[:, None]).reshape(texts.shape)
    text_gradient = factor * (text_sums - own_images)
    log_scale_gradient = jnp.sum(texts.astype(jnp.float32) * text_gradient)
    own_texts = (own * texts.astype(jnp.float32).reshape(num_images, -1, width)).sum(axis=1)
    image_result = factor * (image_sums - own_texts) if image_gradient else jnp.zeros(images.shape)
    return (
        image_result.astype(images.dtype),
        text_gradient.astype(texts.dtype),
        log_scale_gradient.astype(log_scale.dtype),
        None,
    )


contrastive_loss.defvjp(_forward, _backward)


def _log_sums(texts: Side, images: Side, scale: jax.Array, sizes: TileSizes):
    """Returns the log-sum-exps of rows and columns; each is shifted by its maximum so far.

    One shift for all would save an exponential per entry, but underflow in float32 at scales that training reaches.
    """

    def step(rows: Any, columns: Any, of_rows: Any, of_columns: Any):
        found = similarities(rows[0], columns[0], scale)
        row_maxima, column_maxima = (
            jnp.maximum(state[0], found.max(axis=axis)) for axis, state in ((1, of_rows), (0, of_columns))
        )
        of_texts = of_rows[1] * jnp.exp(of_rows[0] - row_maxima) + row_sums(jnp.exp(found - row_maxima[:, None]))
        of_images = of_columns[1] * jnp.exp(of_columns[0] - column_maxima)
        of_images = of_images + jnp.exp(found - column_maxima).sum(axis=0)
        return (row_maxima, of_texts), (column_maxima, of_images)

    start = lambda count: (jnp.full(count, -jnp.inf), jnp.zeros(count))  # noqa: E731 -- one expression
    of_rows, of_columns = over_tiles(step, (texts, None), (images, None), start, start, sizes)
    return tuple(maxima + jnp.log(sums) for maxima, sums in (of_rows, of_columns))


def _weighted_sums(
    texts: Side,
    images: Side,
    scale: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    sizes: TileSizes,
    *,
    both: bool,
):
    """Returns W V and, when `both`, W' U (otherwise None)."""

    def step(rows: Any, columns: Any, text_sums: Any, image_sums: Any):
        (tile_texts, row_logs), (tile_images, column_logs) = rows, columns
        found = similarities(tile_texts, tile_images, scale)
        weights = jnp.exp(found - row_logs[:, None]) + jnp.exp(found - column_logs)
        if both:
            image_sums = image_sums + dot(weights.T, tile_texts.vectors.astype(jnp.float32))
        return text_sums + dot(weights, tile_images.vectors.astype(jnp.float32)), image_sums

    width = images.vectors.shape[1]
    zeros = lambda count: jnp.zeros((count, width))  # noqa: E731 -- one expression
    return over_tiles(step, (texts, rows), (images, columns), zeros, zeros if both else lambda count: None, sizes)
