"""A Flax NNX module as a pure function of named parameters.

Promises: parameters have the module's own names joined by "/" ("blocks/0/attention/query/kernel"); nothing is drawn
before `initialise` is called; the module runs in evaluation mode. What training does differently, a module does itself,
from random keys that it is called with.

Source: flax.readthedocs.io, the pages on `nnx.split` and `nnx.merge`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.traverse_util
import jax
from flax import nnx
from jaxtyping import Array, Float32, Shaped

from lit_precompute.towers.contract import Parameters, Shapes, Tower
from lit_precompute.towers.weights.naming import Naming

# Everything but random state, which evaluation does not use.
_PARAMETERS = nnx.Not(nnx.RngState)


class NnxFunction(NamedTuple):
    """A module as functions.

    Attributes:
      parameter_shapes: the parameters' shapes by name.
      apply: from parameters and inputs to the module's outputs; further arguments go to the module, too.
      initialise: from a random key to the parameters at the start.
    """

    parameter_shapes: dict[str, tuple[int, ...]]
    apply: Callable[..., Float32[Array, "n width"]]
    initialise: Callable[[jax.Array], dict[str, Float32[Array, "..."]]]


def nnx_function(make_module: Callable[[nnx.Rngs], nnx.Module]) -> NnxFunction:
    """Returns the module that `make_module` builds from its random streams, as functions."""
    module = nnx.eval_shape(lambda: make_module(nnx.Rngs(0)))
    module.eval()
    graph, state, rest = nnx.split(module, _PARAMETERS, ...)
    leaves = _flat(state)
    paths = {_name(path): path for path in leaves}

    def apply(parameters: Parameters, inputs: Shaped[Array, "n ..."], *more: Any) -> jax.Array:
        filled = jax.tree.map(lambda leaf: leaf, state)  # a copy, so that the next trace starts from the same state
        values = {path: parameters[name] for name, path in paths.items()}
        nnx.replace_by_pure_dict(filled, flax.traverse_util.unflatten_dict(values))
        return nnx.merge(graph, filled, rest)(inputs, *more)

    def initialise(key: jax.Array) -> dict[str, jax.Array]:
        drawn = _flat(nnx.state(make_module(nnx.Rngs(key)), _PARAMETERS))
        return {_name(path): value for path, value in drawn.items()}

    return NnxFunction({name: tuple(leaves[path].shape) for name, path in paths.items()}, apply, initialise)


def nnx_tower(
    make_module: Callable[[nnx.Rngs], nnx.Module],
    output_width: int,
    namings: Callable[[Shapes], Sequence[Naming]],
    *,
    drops_out: bool = False,
) -> Tower:
    """Returns the tower of a module.

    Args:
      make_module: builds the module from random streams.
      output_width: length of its outputs.
      namings: of its parameters' shapes.
      drops_out: whether it takes the rows' keys as a second argument in training.
    """
    function = nnx_function(make_module)
    return Tower(
        output_width=output_width,
        parameter_shapes=function.parameter_shapes,
        apply=function.apply,
        initialise=function.initialise,
        namings=namings(function.parameter_shapes),
        apply_in_training=function.apply if drops_out else None,
    )


def _flat(state: Any) -> dict[tuple[Any, ...], Any]:
    return dict(flax.traverse_util.flatten_dict(nnx.to_pure_dict(state)))


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path))
