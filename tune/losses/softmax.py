"""The exact softmax contrastive loss over a whole batch, in memory linear in the batch size.

Promises: loss and gradients are those of the full n x n matrix, at any n. The forward pass keeps one log-sum-exp per
row and column; the backward pass computes the gradient from them, tile by tile. A locked image side takes three
n x n x d products in all, a trained one four. Not here: encoding and micro-batches (`gradient_cache`).

Source: arXiv:2111.07991, section 3.1 and appendix D (the global loss). With texts U, images V, Z = s U V', and r and c
the log-sum-exps of Z's rows and columns:
  L = (1/2n) sum_i (r_i + c_i - 2 Z_ii)
  dU = (s/2n) (W V - 2 V), dV = (s/2n) (W' U - 2 U), W_ij = exp(Z_ij - r_i) + exp(Z_ij - c_j), dL/dlog s = <U, dU>.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32

from lit_precompute.tune.losses.loss import Loss
from lit_precompute.tune.losses.options import SoftmaxOptions

# Guards the normalisation of zero rows, as in big_vision.
NORM_EPSILON = 1e-8
# On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
_dot = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST, preferred_element_type=jnp.float32)


def make_loss(options: SoftmaxOptions, *, tile_rows: int, image_is_trained: bool) -> Loss:
    """Returns the loss with one parameter, `log_scale`; see `losses.make_loss`."""
    return Loss(
        initialise=lambda: {"log_scale": jnp.float32(math.log(options.initial_scale))},
        value=lambda parameters, images, texts, pairs: contrastive_loss(
            images, texts, parameters["log_scale"], tile_rows, image_is_trained
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


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def contrastive_loss(
    images: Float[Array, "n d"],
    texts: Float[Array, "n d"],
    log_scale: Float[Array, ""],
    tile_rows: int = 512,
    image_gradient: bool = False,
) -> Float32[Array, ""]:
    """Returns the loss, in nats.

    Args:
      images: unit-norm rows; row i is paired with row i of the texts.
      texts: unit-norm rows.
      log_scale: natural log of the scale, that is of 1/temperature.
      tile_rows: texts whose similarities are in memory at once; affects speed and memory, not the result.
      image_gradient: whether the image side is trained; if not, its gradient is zero and costs nothing.
    """
    return _forward(images, texts, log_scale, tile_rows, image_gradient)[0]


def _forward(images: jax.Array, texts: jax.Array, log_scale: jax.Array, tile_rows: int, image_gradient: bool):
    del image_gradient  # only the backward pass differs
    scale = jnp.exp(log_scale.astype(jnp.float32))
    rows, columns = _log_sums(images, texts, scale, tile_rows)
    diagonal = scale * jnp.sum(images.astype(jnp.float32) * texts.astype(jnp.float32), axis=-1)
    loss = jnp.mean(0.5 * (rows + columns) - diagonal)
    return loss, (images, texts, log_scale, rows, columns)


def _backward(tile_rows: int, image_gradient: bool, kept: tuple[Any, ...], loss_gradient: jax.Array):
    images, texts, log_scale, rows, columns = kept
    scale = jnp.exp(log_scale.astype(jnp.float32))
    text_sums, image_sums = _weighted_sums(images, texts, scale, rows, columns, tile_rows, both=image_gradient)
    factor = loss_gradient * scale / (2 * len(texts))
    text_gradient = factor * (text_sums - 2 * images.astype(jnp.float32))
    log_scale_gradient = jnp.sum(texts.astype(jnp.float32) * text_gradient)
    image_result = factor * (image_sums - 2 * texts.astype(jnp.float32)) if image_gradient else jnp.zeros(images.shape)
    return (
        image_result.astype(images.dtype),
        text_gradient.astype(texts.dtype),
        log_scale_gradient.astype(log_scale.dtype),
    )


contrastive_loss.defvjp(_forward, _backward)


def _log_sums(images: jax.Array, texts: jax.Array, scale: jax.Array, tile_rows: int):
    """Returns the log-sum-exps of rows and columns; a row is shifted by its maximum, a column by its maximum so far.

    One shift for all would save an exponential per entry, but underflow in float32 at scales that training reaches.
    """

    def add_tile(state: tuple[jax.Array, jax.Array], tile: tuple[jax.Array, ...]):
        maxima, column_sums = state
        similarities = scale * _dot(tile[0], images.T)
        row_maxima = similarities.max(axis=1)
        row_sums = _row_sums(jnp.exp(similarities - row_maxima[:, None]))
        new_maxima = jnp.maximum(maxima, similarities.max(axis=0))
        column_sums = column_sums * jnp.exp(maxima - new_maxima) + jnp.exp(similarities - new_maxima).sum(axis=0)
        return (new_maxima, column_sums), row_maxima + jnp.log(row_sums)

    start = (jnp.full(len(images), -jnp.inf), jnp.zeros(len(images)))
    (maxima, column_sums), row_logs = _over_tiles(add_tile, start, (texts,), tile_rows)
    return row_logs, maxima + jnp.log(column_sums)


def _weighted_sums(
    images: jax.Array,
    texts: jax.Array,
    scale: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    tile_rows: int,
    *,
    both: bool,
):
    """Returns W V and, when `both`, W' U (otherwise a scalar zero)."""

    def add_tile(image_sums: jax.Array, tile: tuple[jax.Array, ...]):
        tile_texts, tile_logs = tile
        similarities = scale * _dot(tile_texts, images.T)
        weights = jnp.exp(similarities - tile_logs[:, None]) + jnp.exp(similarities - columns)
        if both:
            image_sums = image_sums + _dot(weights.T, tile_texts.astype(jnp.float32))
        return image_sums, _dot(weights, images.astype(jnp.float32))

    start = jnp.zeros(images.shape if both else ())
    image_sums, text_sums = _over_tiles(add_tile, start, (texts, rows), tile_rows)
    return text_sums, image_sums


def _row_sums(values: jax.Array) -> jax.Array:
    # As a product: XLA's CPU backend sums the last axis element by element, but vectorises matrix products.
    return _dot(values, jnp.ones(values.shape[1]))


def _over_tiles(step: Callable[..., Any], state: Any, arrays: tuple[jax.Array, ...], tile_rows: int):
    """Scans `step` over tiles of the arrays' rows and concatenates its results; the last tile may be shorter.

    The short tile is a separate step, since padding would have to be masked out of every column.
    """
    num_rows = len(arrays[0])
    num_tiles, rest = divmod(num_rows, tile_rows)
    pieces: list[jax.Array] = []
    if num_tiles:
        whole = tuple(a[: num_rows - rest].reshape(num_tiles, tile_rows, *a.shape[1:]) for a in arrays)
        state, results = lax.scan(step, state, whole)
        pieces.append(results.reshape(num_tiles * tile_rows, *results.shape[2:]))
    if rest:
        state, results = step(state, tuple(a[num_rows - rest :] for a in arrays))
        pieces.append(results)
    return state, jnp.concatenate(pieces) if len(pieces) > 1 else pieces[0]
