"""The similarities of texts and images, tile by tile, so that a tile stays in the caches and no matrix in memory.

Promises: what takes no part contributes nothing: absent texts, images without any text, padding, and texts that equal
one of an image's own without being its own. The size of the tiles affects speed and memory, not the result, except for
rounding; the sizes that are chosen depend on the kind of device alone, so that a resumed run repeats every bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Float32, Int32

from lit_precompute.tune.losses.loss import Pairs

# Far below every similarity, and finite: differences of two of them are no NaN.
EXCLUDED = -1e30
# On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
dot = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST, preferred_element_type=jnp.float32)


class TileSizes(NamedTuple):
    """How many texts (rows) and images (columns) a tile has at most."""

    rows: int
    columns: int


def choose_sizes(rows: int | None = None, columns: int | None = None) -> TileSizes:
    """Returns the sizes that are given, and those that suit the kind of device where none is."""
    suited = _SUITED.get(jax.default_backend(), _SUITED["cpu"])
    return TileSizes(rows or suited.rows, columns or suited.columns)


# Fixed, and not measured at the start, so that a run has the same bits again. On a CPU a tile of 2 MiB stays in the
# caches (`python -m benchmarks.contrastive_loss --tiles` times others). On accelerators none was timed: a tile is large
# enough to keep all of one busy.
_SUITED = {"cpu": TileSizes(512, 1024), "gpu": TileSizes(4096, 16384), "tpu": TileSizes(1024, 4096)}


class Side(NamedTuple):
    """Texts or images, and what takes part of them.

    Attributes:
      vectors: their unit-norm embeddings.
      offsets: 0, or EXCLUDED where one takes no part; None: all do.
      owners: the number of the image, or of the image that the text belongs to; None as are the ids.
      ids: those of the text, or of all of the image's texts; None: equal texts are contrasted, too.
    """

    vectors: Float[Array, "n d"]
    offsets: Float32[Array, " n"] | None = None
    owners: Int32[Array, " n"] | None = None
    ids: Int32[Array, " n"] | Int32[Array, "n c"] | None = None


def make_sides(images: jax.typing.ArrayLike, texts: jax.typing.ArrayLike, pairs: Pairs) -> tuple[Side, Side]:
    """Returns the texts, which are the rows of the matrix, and the images, which are its columns."""
    images, texts = jnp.asarray(images), jnp.asarray(texts)
    num_images, present = len(images), pairs.present
    rows, columns = Side(texts), Side(images)
    if present is not None:
        excluded = lambda is_in: jnp.where(is_in, 0.0, EXCLUDED)  # noqa: E731 -- one expression
        rows = rows._replace(offsets=excluded(present.reshape(-1)))
        columns = columns._replace(offsets=excluded(present.any(axis=1)))
    if pairs.text_ids is not None:
        numbers = jnp.arange(num_images, dtype=jnp.int32)
        # An absent text equals none: rows of absent texts are excluded as they are.
        ids = pairs.text_ids if present is None else jnp.where(present, pairs.text_ids, -1)
        rows = rows._replace(owners=jnp.repeat(numbers, len(texts) // num_images), ids=pairs.text_ids.reshape(-1))
        columns = columns._replace(owners=numbers, ids=ids)
    return rows, columns


def similarities(rows: Side, columns: Side, scale: Float32[Array, ""]) -> Float32[Array, "r c"]:
    """Returns the scaled similarities of a tile; EXCLUDED or less for pairs that take no part."""
    found = scale * dot(rows.vectors, columns.vectors.T)
    if rows.offsets is not None and columns.offsets is not None:
        found = found + (rows.offsets[:, None] + columns.offsets)
    if rows.ids is not None and columns.ids is not None:
        assert rows.owners is not None and columns.owners is not None
        is_equal = functools.reduce(jnp.logical_or, (rows.ids[:, None] == ids for ids in columns.ids.T))
        found = jnp.where(is_equal & (rows.owners[:, None] != columns.owners), EXCLUDED, found)
    return found


def row_sums(values: Float32[Array, "r c"]) -> Float32[Array, " r"]:
    """Returns the sums of rows, as a product: XLA's CPU backend sums the last axis element by element."""
    return dot(values, jnp.ones(values.shape[1]))


Step = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def over_tiles(
    step: Step,
    rows: tuple[Side, Any],
    columns: tuple[Side, Any],
    row_start: Callable[[int], Any],
    column_start: Callable[[int], Any],
    sizes: TileSizes,
) -> tuple[Any, Any]:
    """Runs a step over all tiles; returns the states of all rows and of all columns.

    Args:
      step: maps (rows, columns, state of these rows, state of these columns) of a tile to both states.
      rows: the texts, and a tree of what else the step needs of each.
      columns: the images, likewise.
      row_start: returns the state of this many rows at the start.
      column_start: the same for columns.
      sizes: of tiles.
    """
    (num_rows, row_size), (num_columns, column_size) = (
        (len(side.vectors), _balanced(len(side.vectors), size))
        for (side, _), size in zip((rows, columns), sizes, strict=True)
    )
    is_padded = num_rows % row_size > 0 or num_columns % column_size > 0
    row_tiles = _cut(rows, row_size, is_padded=is_padded)
    column_tiles = _cut(columns, column_size, is_padded=is_padded)

    def over_columns(column_states: Any, row_tile: Any) -> tuple[Any, Any]:
        def one(row_state: Any, column: tuple[Any, Any]) -> tuple[Any, Any]:
            return step(row_tile, column[0], row_state, column[1])

        row_state, column_states = lax.scan(one, row_start(row_size), (column_tiles, column_states))
        return column_states, row_state

    num_tiles = -(-num_columns // column_size)
    start = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_tiles, *leaf.shape)), column_start(column_size))
    column_states, row_states = lax.scan(over_columns, start, row_tiles)
    return _joined(row_states, num_rows), _joined(column_states, num_columns)


def _balanced(count: int, size: int) -> int:
    """Returns the size of as many tiles, as equal as can be, so that few rows are padding."""
    return -(-count // -(-count // size))


def _cut(side_and_more: tuple[Side, Any], size: int, *, is_padded: bool) -> Any:
    """Returns [tiles, size, ...]; rows of padding are zeros that take no part."""
    side, more = side_and_more
    count = len(side.vectors)
    missing = -count % size
    if is_padded and side.offsets is None:
        side = side._replace(offsets=jnp.zeros(count))

    def cut(leaf: jax.Array, fill: float = 0) -> jax.Array:
        if missing:
            leaf = jnp.pad(leaf, [(0, missing)] + [(0, 0)] * (leaf.ndim - 1), constant_values=fill)
        return leaf.reshape(-1, size, *leaf.shape[1:])

    tiles = jax.tree.map(cut, (side, more))
    return tiles if side.offsets is None else (tiles[0]._replace(offsets=cut(side.offsets, EXCLUDED)), tiles[1])


def _joined(tiles: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:count], tiles)
