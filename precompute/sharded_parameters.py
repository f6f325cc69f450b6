"""A tower's parameters cut over devices, none of which holds them all: each is gathered when it is used.

Promises: products are computed whole, on every device, from the same bits as with copies of all parameters; a device
holds its share of the parameters, and of the gathered ones those of two consecutive layers. Any tower will do: what is
gathered where is read from its traced function.

Not here: products cut over devices, which would round differently; layers inside loops other than `jax.lax.map` and
`scan` (their parameters are gathered before the loop), and parameters of no axis that the devices divide, which every
device holds.

Source: the order is that of FSDP (arXiv:2304.11277): shards, gathered for one layer at a time, the next in advance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Float, Shaped

# Smaller ones, norms and biases, are not worth a message.
_LEAST_BYTES = 1 << 16
# The rest of a device's memory is for activations and images.
_MOST_SHARE = 0.7


def do_not_fit(parameters: Mapping[str, Shaped[np.ndarray | Array, "..."]], device: Any) -> bool:
    """Returns whether a device should not hold all parameters; False where it does not tell its memory, as CPUs do."""
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return limit is not None and sum(values.nbytes for values in parameters.values()) > _MOST_SHARE * limit


def axes_to_cut(parameters: Mapping[str, Shaped[np.ndarray | Array, "..."]], num_devices: int) -> dict[str, int]:
    """Returns, by the names of the large parameters, the first axis that the devices divide evenly."""
    return {
        name: axis
        for name, values in parameters.items()
        if values.nbytes >= _LEAST_BYTES
        and (axis := next((axis for axis, length in enumerate(values.shape) if length % num_devices == 0), None))
        is not None
    }


def apply_gathering(
    apply: Callable[[dict[str, Any], Any], jax.Array],
    shards: Mapping[str, Float[Array, "..."]],
    images: Float[Array, "n h w 3"],
    *,
    axes: Mapping[str, int],
    mesh_axis: str,
    num_devices: int,
    platform: str,
) -> Float[Array, "n width"]:
    """Returns `apply` of the whole parameters and the images; to be called for one device's shards in a `shard_map`.

    Args:
      apply: a pure function of parameters and images.
      shards: the parameters; those in `axes` are this device's part.
      images: this device's.
      axes: along which a parameter is cut.
      mesh_axis: the devices' axis of the mesh.
      num_devices: how many there are along it.
      platform: theirs, such as "cpu".
    """

    def whole(name: str) -> jax.ShapeDtypeStruct:
        shape = list(shards[name].shape)
        if name in axes:
            shape[axes[name]] *= num_devices
        return jax.ShapeDtypeStruct(tuple(shape), shards[name].dtype)

    names = sorted(shards)
    traced = jax.make_jaxpr(lambda values, images: apply(dict(zip(names, values, strict=True)), images))(
        [whole(name) for name in names], images
    )
    later = [_gathered_later(shards[name], axes.get(name), mesh_axis) for name in names]
    (found,) = _Walk(platform).evaluate(traced, [*later, images])
    return found


class _Later(NamedTuple):
    """A value of parameters alone: `make(after)` computes it, not before `after` is there."""

    make: Callable[[jax.Array | None], jax.Array]


def _gathered_later(shard: jax.Array, axis: int | None, mesh_axis: str) -> _Later:
    if axis is None:
        return _Later(lambda after: shard)
    return _Later(lambda after: jax.lax.all_gather(_not_before(after, shard), mesh_axis, axis=axis, tiled=True))


def _not_before(after: jax.Array | None, shard: jax.Array) -> jax.Array:
    """Returns the shard, to the bit, as a result that depends on `after`.

    XLA drops barriers before it orders its operations, and would gather everything first. It does not see that the
    number added to the shard's bits is zero.
    """
    if after is None:
        return shard
    value = jax.lax.slice(after, (0,) * after.ndim, (1,) * after.ndim).reshape(())
    zero = jnp.minimum(jnp.abs(value.astype(jnp.float32)), 0).astype(jnp.int32)  # of NaN 0, too
    bits = jnp.uint16 if shard.dtype.itemsize == 2 else jnp.uint32
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(shard, bits) + zero.astype(bits), shard.dtype)


class _Walk:
    """Evaluates a traced function equation by equation, some of whose inputs are computed when they are used."""

    def __init__(self, platform: str, after: jax.Array | None = None):
        """Starts where nothing has been computed but `after`."""
        self._platform, self._after = platform, after

    def evaluate(self, traced: core.ClosedJaxpr, inputs: Sequence[Any]) -> list[Any]:
        """Returns the outputs."""
        constants = [_Later(lambda after, value=value: value) for value in traced.consts]
        found: dict[Any, Any] = dict(zip(traced.jaxpr.constvars, constants, strict=True))
        found |= dict(zip(traced.jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, core.Literal) else found[atom]

        for equation in traced.jaxpr.eqns:
            outputs = self._outputs(equation, [read(atom) for atom in equation.invars])
            found |= dict(zip(equation.outvars, outputs, strict=True))
        return [self._now(read(atom), self._after) for atom in traced.jaxpr.outvars]

    def _outputs(self, equation: Any, inputs: list[Any]) -> Sequence[Any]:
        if not any(isinstance(value, _Later) for value in inputs):
            return _bind(equation, inputs)
        parameters, name = equation.params, equation.primitive.name
        data = [value for value in inputs if isinstance(value, jax.Array) and value.size]
        if name == "jit":
            return self.evaluate(parameters["jaxpr"], inputs)
        if name == "cond" and parameters.get("branches_platforms"):
            return self.evaluate(parameters["branches"][_branch_of(parameters, self._platform)], inputs[1:])
        if name == "scan":
            return self._scan(parameters, inputs)
        if not data:
            return [
                _Later(lambda after, place=place: _bind(equation, [self._now(value, after) for value in inputs])[place])
                for place in range(len(equation.outvars))
            ]
        # What the use before this one waited for: so this gathering runs beside that one's product.
        after, self._after = self._after, data[0]
        return _bind(equation, [self._now(value, after) for value in inputs])

    def _scan(self, parameters: Mapping[str, Any], inputs: list[Any]) -> Sequence[Any]:
        num_constants, num_carried = parameters["num_consts"], parameters["num_carry"]
        constants = inputs[:num_constants]
        carried, rows = (
            [self._now(value, self._after) for value in part]
            for part in (inputs[num_constants : num_constants + num_carried], inputs[num_constants + num_carried :])
        )

        def step(carried: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
            after = next((value for value in [*row, *carried] if value.size), None)
            found = _Walk(self._platform, after).evaluate(parameters["jaxpr"], [*constants, *carried, *row])
            return found[:num_carried], found[num_carried:]

        options = {name: parameters[name] for name in ("length", "reverse", "unroll")}
        last, stacked = jax.lax.scan(step, carried, rows, **options)
        return [*last, *stacked]

    @staticmethod
    def _now(value: Any, after: jax.Array | None) -> Any:
        return value.make(after) if isinstance(value, _Later) else value


def _branch_of(parameters: Mapping[str, Any], platform: str) -> int:
    """Returns the branch of `jax.lax.platform_dependent` for a platform; the last one is for all others."""
    names = ("cuda", "rocm") if platform == "gpu" else (platform,)
    platforms = parameters["branches_platforms"]
    return next(
        (place for place, branch in enumerate(platforms) if branch is not None and set(names) & set(branch)),
        len(platforms) - 1,
    )


def _bind(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Returns the outputs of one equation, by JAX's own evaluation of a function that has no other."""
    given = {
        atom: value for atom, value in zip(equation.invars, inputs, strict=True) if not isinstance(atom, core.Literal)
    }
    names = core.DebugInfo("gathering", equation.primitive.name, ("",) * len(given), ("",) * len(equation.outvars))
    alone = core.Jaxpr((), list(given), equation.outvars, [equation], equation.effects, names)
    return core.jaxpr_as_fun(core.ClosedJaxpr(alone, ()))(*given.values())
