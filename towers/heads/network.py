"""What heads compute: from float32 vectors to vectors of another width, as towers.

Promises: parameters, norms, residual sums and results are float32; products are in the compute type, except that a
linear head's are always float32. A head that drops out has an `apply_in_training`; every other one has none.

Source: layers, norms and rates of `lezhang7/SAIL` (model/linear.py and model/sail_model.py) and
`layer6ai-labs/fusemix` (lavis/models/fusion_models/mlp_contrastive_fusion.py); arXiv:2412.04616, arXiv:2312.10144.
Kernels are drawn as in SAIL (Glorot and Bengio's uniform distribution) for all kinds but the linear one; FuseMix keeps
torch's. `JonaRuthardt/ShareLock` (sharelock/models/projection.py) has batch norms in a head like `mlp`: here a row's
embedding must not depend on the other rows, so there is one LayerNorm before it instead, as in SAIL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from lit_precompute.towers.contract import Parameters, Shapes, Tower
from lit_precompute.towers.dropout import Keys, drop
from lit_precompute.towers.heads.options import (
    GatedHeadOptions,
    HeadOptions,
    LinearHeadOptions,
    MLPHeadOptions,
    NoHeadOptions,
    ResidualHeadOptions,
)
from lit_precompute.towers.layers import GELUS, layer_norm
from lit_precompute.towers.options import ComputeType

_EPSILON = 1e-5  # torch's
_LARGEST = 1e3  # SAIL keeps gate and values within it

_Network = Callable[["Layers", Array, Keys | None], Array]


def make_head(options: HeadOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns the head that the options describe, over float32 vectors [n, input_width].

    Args:
      options: of any registered kind.
      input_width: length of a vector.
      output_width: length of a result.
      compute_type: type of the products, except those of a linear head.

    Raises:
      ValueError: there is no head, and the widths differ.
    """
    return HeadOptions.kinds.make(
        options, input_width=input_width, output_width=output_width, compute_type=compute_type
    )


class Layers:
    """The layers of a head with parameters."""

    def __init__(self, parameters: Parameters, compute_type: ComputeType):
        """Takes the parameters by name."""
        self._parameters = {name: jnp.asarray(value) for name, value in parameters.items()}
        self._type = jnp.dtype(compute_type)

    def dense(self, name: str, values: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
        """Returns the product with a kernel, and the bias added, in the compute type."""
        kernel, bias = (self._parameters[f"{name}/{part}"].astype(self._type) for part in ("kernel", "bias"))
        # On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
        return jnp.matmul(values.astype(self._type), kernel, precision=jax.lax.Precision.HIGHEST) + bias

    def norm(self, name: str, values: Float[Array, "n width"]) -> Float[Array, "n width"]:
        """Returns the values after a LayerNorm."""
        return layer_norm(self._parameters, name, values, _EPSILON)


def make_linear(options: LinearHeadOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns a linear layer; see `make_head`."""
    del options, compute_type

    def initialise(key: jax.Array) -> dict[str, Float32[Array, "..."]]:
        kernel = jax.nn.initializers.lecun_normal()(key, (input_width, output_width), jnp.float32)
        return {"kernel": kernel, "bias": jnp.zeros(output_width)}

    def apply(parameters: Parameters, vectors: Float32[Array, "n inputs"]) -> Float32[Array, "n outputs"]:
        # On GPUs and TPUs the default precision would round float32 inputs to 10 bits or fewer.
        return jnp.matmul(vectors, parameters["kernel"], precision=jax.lax.Precision.HIGHEST) + parameters["bias"]

    shapes = {"kernel": (input_width, output_width), "bias": (output_width,)}
    return Tower(output_width=output_width, parameter_shapes=shapes, apply=apply, initialise=initialise)


def make_none(options: NoHeadOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns vectors as they are; see `make_head`."""
    del options, compute_type
    if input_width != output_width:
        raise ValueError(
            f"head.kind none: embeddings of width {input_width} cannot be compared with {output_width} numbers of the "
            "other side; choose a head, or the same width on both sides"
        )
    return Tower(
        output_width=output_width,
        parameter_shapes={},
        apply=lambda parameters, vectors: vectors,
        initialise=lambda key: {},
    )


def make_mlp(options: MLPHeadOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns a norm and a perceptron; see `make_head`."""
    widths = [input_width, *[options.expansion * input_width] * options.depth]
    shapes = _norm("norm", input_width)
    for number in range(options.depth):
        shapes |= _dense(f"hidden/{number}", widths[number], widths[number + 1])
    shapes |= _dense("out", widths[-1], output_width)

    def network(layers: Layers, vectors: Array, keys: Keys | None) -> Array:
        hidden = layers.norm("norm", vectors)
        for number in range(options.depth):
            hidden = GELUS["exact"](layers.dense(f"hidden/{number}", hidden))
            hidden = drop(hidden, options.dropout, keys, number)
        return layers.dense("out", hidden)

    return _tower(network, shapes, output_width, options.dropout, compute_type)


def make_residual(
    options: ResidualHeadOptions, *, input_width: int, output_width: int, compute_type: ComputeType
) -> Tower:
    """Returns residual blocks, a norm and a linear layer; see `make_head`."""
    hidden_width = options.expansion * input_width
    shapes: Shapes = {}
    for number in range(options.depth):
        shapes |= _norm(f"blocks/{number}/norm", input_width)
        shapes |= _dense(f"blocks/{number}/in", input_width, hidden_width)
        shapes |= _dense(f"blocks/{number}/out", hidden_width, input_width)
    shapes |= _norm("norm", input_width) | _dense("out", input_width, output_width)

    def network(layers: Layers, vectors: Array, keys: Keys | None) -> Array:
        for number in range(options.depth):
            block = f"blocks/{number}"
            hidden = GELUS["exact"](layers.dense(f"{block}/in", layers.norm(f"{block}/norm", vectors)))
            hidden = drop(hidden, options.dropout, keys, number)
            vectors = vectors + layers.dense(f"{block}/out", hidden).astype(jnp.float32)
        return layers.dense("out", layers.norm("norm", vectors))

    return _tower(network, shapes, output_width, options.dropout, compute_type)


def make_gated(options: GatedHeadOptions, *, input_width: int, output_width: int, compute_type: ComputeType) -> Tower:
    """Returns a norm, a gated hidden layer and a linear layer; see `make_head`."""
    hidden_width = options.expansion * input_width
    shapes = _norm("norm", input_width) | _dense("out", hidden_width, output_width)
    shapes |= _dense("gate", input_width, hidden_width) | _dense("value", input_width, hidden_width)

    def network(layers: Layers, vectors: Array, keys: Keys | None) -> Array:
        normed = layers.norm("norm", vectors)
        gate, value = (jnp.clip(layers.dense(name, normed), -_LARGEST, _LARGEST) for name in ("gate", "value"))
        hidden = drop(jax.nn.relu6(gate) * value, options.dropout, keys, 0)
        return layers.dense("out", hidden)

    return _tower(network, shapes, output_width, options.dropout, compute_type)


def _tower(network: _Network, shapes: Shapes, output_width: int, dropout: float, compute_type: ComputeType) -> Tower:
    def apply(parameters: Parameters, vectors: Any, keys: Keys | None = None) -> Float32[Array, "n width"]:
        return network(Layers(parameters, compute_type), jnp.asarray(vectors), keys).astype(jnp.float32)

    return Tower(
        output_width=output_width,
        parameter_shapes=shapes,
        apply=apply,
        initialise=lambda key: _initialise(shapes, key),
        apply_in_training=apply if dropout else None,
    )


def _initialise(shapes: Shapes, key: jax.Array) -> dict[str, Float32[Array, "..."]]:
    draw = jax.nn.initializers.glorot_uniform()
    parameters: dict[str, jax.Array] = {}
    for (name, shape), own in zip(shapes.items(), jax.random.split(key, len(shapes)), strict=True):
        if name.endswith("kernel"):
            parameters[name] = draw(own, shape, jnp.float32)
        else:
            parameters[name] = jnp.ones(shape) if name.endswith("scale") else jnp.zeros(shape)
    return parameters


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}


def _dense(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}
