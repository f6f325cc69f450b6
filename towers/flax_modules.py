"""Anyone's own Flax module as a tower: NNX or Linen.

Promises: the module is used as it is, with its parameters under Flax's own names joined by "/", so that a file of them
(`.npz`, safetensors) is all that a user has to write. It is built without drawing weights and runs as in evaluation: no
dropout, batch norm by its running statistics.

Not here: modules whose call needs more than images.

Source: flax.readthedocs.io, the pages on `nnx.split` and `nnx.merge` and on `Module.apply`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
from flax import linen, nnx
from jaxtyping import Array, Float, Float32

from lit_precompute.towers.family import Entry, Family, Parameters, Shapes, TowerConfig
from lit_precompute.towers.nnx_modules import nnx_function
from lit_precompute.towers.preprocessing import Preprocessing

_STATISTICS = ("mean", "var")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlaxConfig(TowerConfig):
    """The configuration of such a tower.

    Attributes:
      width: length of the embedding.
      options: whatever else the module was built with; JSON, and part of the fingerprint.
    """

    width: int
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pooling: str = "output"

    @property
    def output_width(self) -> int:
        return self.width


def flax_entry(
    module: linen.Module | Callable[[], nnx.Module],
    *,
    family: str,
    preprocessing: Preprocessing,
    options: Mapping[str, Any] | None = None,
    weights: str = "",
    accuracy: str = "",
) -> Entry:
    """Returns the entry of a module, for `register`.

    Args:
      module: a Linen module, or a function that builds an NNX module (with any `nnx.Rngs`: nothing is drawn). It is
        called with float32 or bfloat16 [n, size, size, 3] in the value range of `preprocessing`, and gives [n, width].
      family: a name for the architecture; it is part of the fingerprint, as `options` are: change it with the code.
      preprocessing: what the module expects of its images.
      options: what the module was built with, as JSON.
      weights: where its weights are published.
      accuracy: what its authors report, in words.

    Raises:
      ValueError: the module does not give one embedding for each image.
    """
    if isinstance(module, linen.Module):
        shapes, apply = _linen_function(module, preprocessing.size)
    else:
        shapes, apply, _ = nnx_function(lambda rngs: module())
    width = _output_width(family, shapes, apply, preprocessing.size)
    made = Family(
        name=family,
        poolings=("output",),
        parameter_shapes=lambda config: shapes,
        apply=lambda config, parameters, images: _as_configured(config, apply, parameters, images),
        is_statistic=lambda name: name.rsplit("/", 1)[-1] in _STATISTICS,
    )
    config = FlaxConfig(resolution=preprocessing.size, width=width, options=dict(options or {}))
    return Entry(family=made, config=config, preprocessing=preprocessing, weights=weights, accuracy=accuracy)


_Apply = Callable[[Mapping[str, Float[Array, "..."]], Float[Array, "n h w 3"]], Float[Array, "n width"]]


def _output_width(family: str, shapes: Shapes, apply: _Apply, size: int) -> int:
    """Returns how many numbers the function gives for each image; nothing is computed."""
    images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    arrays = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    found = jax.eval_shape(apply, arrays, images).shape
    if len(found) != 2 or found[0] != 2:
        raise ValueError(f"{family}: the module must give [n, width] for n images, got {list(found)} for 2")
    return found[1]


def _as_configured(
    config: FlaxConfig, apply: _Apply, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.width}"]:
    cast = {name: value.astype(config.compute_type) for name, value in parameters.items()}
    return apply(cast, images.astype(config.compute_type)).astype(jnp.float32)


def _linen_function(module: linen.Module, size: int) -> tuple[Shapes, _Apply]:
    """Returns the parameters' shapes and the function of a Linen module."""
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    drawn = jax.eval_shape(module.init, jax.random.key(0), images)
    variables: dict[str, Any] = dict(flax.traverse_util.flatten_dict(drawn, sep="/"))

    def apply(parameters: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
        output: Any = module.apply(flax.traverse_util.unflatten_dict(dict(parameters), sep="/"), images)
        return output

    return {name: tuple(value.shape) for name, value in variables.items()}, apply
