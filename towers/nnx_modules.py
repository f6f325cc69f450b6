"""A Flax NNX module as a pure function of named parameters.

Promises: parameters have the module's own names joined by "/" ("blocks/0/attention/query/kernel"); nothing is drawn
until parameters are asked for; the module runs as in evaluation.

Source: flax.readthedocs.io, the pages on `nnx.split` and `nnx.merge`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.traverse_util
import jax
from flax import nnx

from lit_precompute.towers.contract import Parameters

# What is left out is random state, which nothing asks for in evaluation.
_PARAMETERS = nnx.Not(nnx.RngState)


class NnxFunction(NamedTuple):
    """What a module is made of: its parameters' shapes, its function (parameters, inputs), and how they are drawn."""

    parameter_shapes: dict[str, tuple[int, ...]]
    apply: Callable[[Parameters, jax.Array], jax.Array]
    initialise: Callable[[jax.Array], dict[str, jax.Array]]


def nnx_function(make_module: Callable[[nnx.Rngs], nnx.Module]) -> NnxFunction:
    """Returns a module's parts; `make_module` builds it from the random streams that it is given."""
    module = nnx.eval_shape(lambda: make_module(nnx.Rngs(0)))
    module.eval()
    graph, state, rest = nnx.split(module, _PARAMETERS, ...)
    leaves = _flat(state)
    paths = {_name(path): path for path in leaves}

    def apply(parameters: Parameters, inputs: jax.Array) -> jax.Array:
        filled = jax.tree.map(lambda leaf: leaf, state)  # a copy: the next trace begins from the same
        values = {path: parameters[name] for name, path in paths.items()}
        nnx.replace_by_pure_dict(filled, flax.traverse_util.unflatten_dict(values))
        return nnx.merge(graph, filled, rest)(inputs)

    def initialise(key: jax.Array) -> dict[str, jax.Array]:
        drawn = _flat(nnx.state(make_module(nnx.Rngs(key)), _PARAMETERS))
        return {_name(path): value for path, value in drawn.items()}

    return NnxFunction({name: tuple(leaves[path].shape) for name, path in paths.items()}, apply, initialise)


def _flat(state: Any) -> dict[tuple[Any, ...], Any]:
    return dict(flax.traverse_util.flatten_dict(nnx.to_pure_dict(state)))


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path))
