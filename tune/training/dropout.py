"""The random keys of dropout: one for each row of a batch and side, a function of the seed and the step.

Promises: keys travel with the rows, so that micro-batches and the second pass of the gradient cache drop what the whole
batch would, and a resumed run drops what an uninterrupted one does. A side without dropout gets its inputs alone: its
program knows of no keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int32

from lit_precompute.towers.contract import Tower
from lit_precompute.towers.dropout import Keys, row_keys
from lit_precompute.tune.model.sides import Sides

_DROPOUT = 2  # the seed's key and 1 folded into it draw the parameters


class _Keyed(NamedTuple):
    """Inputs of a side that drops out, and the rows' keys."""

    rows: Any
    keys: Keys


def training_encoder(side: Tower) -> Callable[[Any, Any], jax.Array]:
    """Returns what a training step computes of a side, from its parameters and `training_inputs`."""
    apply = side.apply_in_training
    if apply is None:
        return side.apply
    return lambda parameters, inputs: apply(parameters, inputs.rows, inputs.keys)


def training_inputs(sides: Sides, images: Any, texts: Any, *, seed: int, step: Int32[Array, ""]) -> tuple[Any, Any]:
    """Returns the inputs of both sides, images first; those of a side that drops out have keys.

    Args:
      sides: the two sides.
      images: of a batch.
      texts: of the same batch.
      seed: the recipe's.
      step: number of steps done before.
    """
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _DROPOUT), step)
    inputs: list[Any] = []
    for number, (side, rows) in enumerate(((sides.image, images), (sides.text, texts))):
        if side.apply_in_training is None:
            inputs.append(rows)
        else:
            num_rows = len(jax.tree.leaves(rows)[0])
            inputs.append(_Keyed(rows, row_keys(jax.random.fold_in(key, number), num_rows)))
    return inputs[0], inputs[1]
