"""The text tower of LiT: a plain pre-norm transformer over token ids, one vector per text.

Promises: the same function and parameter names as big_vision's text transformer, which the public LiT and SigLIP
checkpoints use: token embedding plus learned positions, blocks with biases and tanh GELU, a last norm, one
position (or an average or maximum) read out, a linear head. Padding is not masked there, so not here either.
Parameters, norms, residual sums and the result are float32 whatever `compute_type` is.

Does not: normalise its vectors, drop out, or mask attention.

Source: big_vision, models/proj/image_text/text_transformer.py and models/vit.py; arXiv:2111.07991. Where it reads the
last position this relies on rows that end in the end token, which every tokenizer here writes.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lit_precompute.towers.options import ComputeType
from lit_precompute.towers.text.options import Pooling, TextTowerOptions


class Attention(nnx.Module):
    """Multi-head attention of every position to every position, with biases."""

    def __init__(self, width: int, num_heads: int, *, compute_type: ComputeType, rngs: nnx.Rngs):
        def project(in_features: int | tuple[int, int], out_features: int | tuple[int, int]) -> nnx.LinearGeneral:
            return nnx.LinearGeneral(
                in_features,
                out_features,
                axis=(-2, -1) if isinstance(in_features, tuple) else -1,
                kernel_init=nnx.initializers.xavier_uniform(),
                dtype=compute_type,
                rngs=rngs,
            )

        heads = (num_heads, width // num_heads)
        self.query, self.key, self.value = (project(width, heads) for _ in range(3))
        self.out = project(heads, width)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Returns [n, length, width] for the same."""
        return self.out(jax.nn.dot_product_attention(self.query(inputs), self.key(inputs), self.value(inputs)))


class Block(nnx.Module):
    """Norm, attention, sum; norm, perceptron, sum."""

    def __init__(self, options: TextTowerOptions, *, compute_type: ComputeType, rngs: nnx.Rngs):
        def dense(in_features: int, out_features: int) -> nnx.Linear:
            return nnx.Linear(
                in_features,
                out_features,
                kernel_init=nnx.initializers.xavier_uniform(),
                bias_init=nnx.initializers.normal(1e-6),
                dtype=compute_type,
                rngs=rngs,
            )

        self.attention_norm = nnx.LayerNorm(options.width, rngs=rngs)
        self.attention = Attention(options.width, options.num_heads, compute_type=compute_type, rngs=rngs)
        self.perceptron_norm = nnx.LayerNorm(options.width, rngs=rngs)
        self.perceptron_in = dense(options.width, options.mlp_width)
        self.perceptron_out = dense(options.mlp_width, options.width)

    def __call__(self, residual: jax.Array) -> jax.Array:
        """Returns float32 [n, length, width] for the same."""
        residual = residual + self.attention(self.attention_norm(residual)).astype(jnp.float32)
        hidden = jax.nn.gelu(self.perceptron_in(self.perceptron_norm(residual)), approximate=True)
        return residual + self.perceptron_out(hidden).astype(jnp.float32)


class TextTower(nnx.Module):
    """Token ids to vectors; see the module's docstring."""

    def __init__(
        self,
        options: TextTowerOptions,
        *,
        vocabulary_size: int,
        max_tokens: int,
        output_width: int,
        rngs: nnx.Rngs,
        compute_type: ComputeType = "float32",
    ):
        """Draws the parameters as big_vision does, from `rngs.params`."""
        width = options.width
        self.pooling: Pooling = options.pooling
        self.max_tokens = max_tokens
        self.token_embedding = nnx.Embed(vocabulary_size, width, rngs=rngs)
        draw_positions = nnx.initializers.normal(width**-0.5)
        self.position_embedding = nnx.Param(draw_positions(rngs.params(), (1, max_tokens, width), jnp.float32))
        self.blocks = nnx.List([Block(options, compute_type=compute_type, rngs=rngs) for _ in range(options.depth)])
        self.final_norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, output_width, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Returns float32 [n, output_width], not normalised, for int32 tokens [n, max_tokens].

        Raises:
          ValueError: rows of another length than `max_tokens`.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.max_tokens:
            raise ValueError(f"tokens must be [n, {self.max_tokens}] as the tower was made for, got {tokens.shape}")
        hidden = self.token_embedding(tokens) + self.position_embedding[...]
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(_pool(self.final_norm(hidden), self.pooling))


def _pool(hidden: jax.Array, pooling: Pooling) -> jax.Array:
    """Returns [n, width] for [n, length, width]."""
    match pooling:
        case "last":
            return hidden[:, -1]
        case "first":
            return hidden[:, 0]
        case "average":
            return hidden.mean(axis=1)
        case "max":
            return hidden.max(axis=1)


def to_flat(tower: TextTower) -> dict[str, np.ndarray]:
    """Returns the parameters by their public names, such as "Encoder_0/encoderblock_0/LayerNorm_0/scale"."""
    return {name: np.asarray(parameter[...]) for name, parameter in _named_parameters(tower).items()}


def from_flat(tower: TextTower, flat: Mapping[str, np.ndarray]) -> None:
    """Sets all parameters by their public names; blocks may be stacked along a leading axis ("encoderblock/...").

    Raises:
      ValueError: names all parameters that are missing, extra or of another shape; nothing is changed then.
    """
    given = _unstack(flat)
    parameters = _named_parameters(tower)
    faults = [f"missing: {name}" for name in sorted(parameters.keys() - given.keys())]
    faults += [f"extra: {name}" for name in sorted(given.keys() - parameters.keys())]
    faults += [
        f"{name}: shape {given[name].shape}, the tower's is {parameter.shape}"
        for name, parameter in parameters.items()
        if name in given and given[name].shape != parameter.shape
    ]
    if faults:
        raise ValueError("these parameters do not fit the text tower: " + "; ".join(faults))
    for name, parameter in parameters.items():
        parameter.set_value(jnp.asarray(given[name], jnp.float32))


def _unstack(flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the same parameters with big_vision's scanned blocks taken apart, each under its own name."""
    stacked = "Encoder_0/encoderblock/"
    result = {name: value for name, value in flat.items() if not name.startswith(stacked)}
    for name in flat.keys() - result.keys():
        for number, value in enumerate(flat[name]):
            result[f"Encoder_0/encoderblock_{number}/{name.removeprefix(stacked)}"] = value
    return result


def _named_parameters(tower: TextTower) -> dict[str, nnx.Param]:
    """Returns big_vision's name of each parameter."""
    layers: dict[str, nnx.Module] = {"Embed_0": tower.token_embedding}
    for number, block in enumerate(tower.blocks):
        prefix = f"Encoder_0/encoderblock_{number}"
        attention = f"{prefix}/MultiHeadDotProductAttention_0"
        layers[f"{prefix}/LayerNorm_0"] = block.attention_norm
        layers |= {f"{attention}/{name}": getattr(block.attention, name) for name in ("query", "key", "value", "out")}
        layers[f"{prefix}/LayerNorm_1"] = block.perceptron_norm
        layers[f"{prefix}/MlpBlock_0/Dense_0"] = block.perceptron_in
        layers[f"{prefix}/MlpBlock_0/Dense_1"] = block.perceptron_out
    layers |= {"Encoder_0/encoder_norm": tower.final_norm, "head": tower.head}
    named: dict[str, nnx.Param] = {"pos_embedding": tower.position_embedding}
    for prefix, layer in layers.items():
        for leaf in ("embedding", "scale", "kernel", "bias"):
            parameter = getattr(layer, leaf, None)
            if isinstance(parameter, nnx.Param):
                named[f"{prefix}/{leaf}"] = parameter
    return named
