"""Layers that several families share, as pure functions of a flat dict of weights.

Promises: each layer computes in the type of its inputs, except for a norm's statistics, which are always float32;
weights have that type too, under big_vision's names for a layer's parts (kernel, bias, scale).

Not here: what only one family has. docs/benchmarks.md holds the measurements behind each form.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Weights = Mapping[str, Float[Array, "..."]]

# "tanh" is JAX's default form of GELU, "exact" torch's, "quick" that of the first CLIP models.
GELUS = {
    "tanh": lambda hidden: jax.nn.gelu(hidden, approximate=True),
    # By erf: jax.nn.gelu computes erfc, which is slower.
    "exact": lambda hidden: hidden * (1 + jax.lax.erf(hidden * math.sqrt(0.5))) / 2,
    "quick": lambda hidden: hidden * jax.nn.sigmoid(1.702 * hidden),
}


_TOKENS_AT_A_TIME = 1024


def patches(
    weights: Weights, name: str, features: Float[Array, "n h w inputs"]
) -> Float[Array, "n rows columns outputs"]:
    """Returns h // k rows and w // k columns of patches, for a kernel [k, k, inputs, outputs].

    A convolution whose stride is its kernel's size is a matrix product; rows and columns beyond the last whole patch
    are ignored.
    """
    kernel = weights[f"{name}/kernel"]
    size, _, inputs, outputs = kernel.shape
    rows, columns = (length // size for length in features.shape[1:3])
    features = features[:, : rows * size, : columns * size]
    pieces = features.reshape(-1, rows, size, columns, size, inputs).transpose(0, 1, 3, 2, 4, 5)
    found = pieces.reshape(-1, rows, columns, size * size * inputs) @ kernel.reshape(-1, outputs)
    return found + weights[f"{name}/bias"] if f"{name}/bias" in weights else found


def patch_tokens(weights: Weights, name: str, images: Float[Array, "n h w 3"]) -> Float[Array, "n tokens width"]:
    """Returns the patches of images as one sequence of tokens, row by row."""
    found = patches(weights, name, images)
    return found.reshape(len(found), -1, found.shape[-1])


def layer_norm(
    weights: Weights, name: str, tokens: Float[Array, "*batch width"], epsilon: float
) -> Float[Array, "*batch width"]:
    """Returns the last axis brought to mean 0 and deviation 1, then scaled and shifted."""
    values = tokens.astype(jnp.float32)  # the statistics need more digits than bfloat16 has
    centred = values - _last_mean(values)
    normed = centred * jax.lax.rsqrt(_last_mean(centred * centred) + epsilon)
    scale, bias = (weights[f"{name}/{part}"].astype(jnp.float32) for part in ("scale", "bias"))
    return (normed * scale + bias).astype(tokens.dtype)


def _last_mean(values: jax.Array) -> jax.Array:
    """Returns float32 [..., 1]: the mean over the last axis.

    On CPUs this is a product with a column, because XLA's sums over the last axis are slow there.
    """
    width = values.shape[-1]
    column = jnp.full((width, 1), 1 / width, jnp.float32)
    return jax.lax.platform_dependent(
        values,
        cpu=lambda rows: jnp.matmul(rows, column, precision=jax.lax.Precision.HIGHEST),
        default=lambda rows: rows.mean(axis=-1, keepdims=True),
    )


def attention(
    query: Float[Array, "n queries heads width"],
    key: Float[Array, "n keys heads width"],
    value: Float[Array, "n keys heads width"],
) -> Float[Array, "n queries heads width"]:
    """Returns for each head the values, weighted by the softmax of query times key.

    On CPUs the heads come first, and the division by the softmax's sum follows the second product, when there is less
    to divide. GPUs use cuDNN's fused kernel where it supports the shapes.
    """
    forms = {"cpu": _attention_on_cpus, "default": jax.nn.dot_product_attention}
    if _cudnn_has_attention(query):
        forms["cuda"] = functools.partial(jax.nn.dot_product_attention, implementation="cudnn")
    return jax.lax.platform_dependent(query, key, value, **forms)


def _cudnn_has_attention(query: jax.Array) -> bool:
    """Returns whether this process's GPU (compute capability >= 8.0) has a fused kernel for such heads."""
    capability = getattr(jax.devices()[0], "compute_capability", "")  # "9.0"; "gfx942" on AMD; other devices have none
    is_new_enough = capability.replace(".", "").isdigit() and float(capability) >= 8
    return is_new_enough and query.dtype.itemsize == 2 and query.shape[-1] <= 128 and query.shape[-1] % 8 == 0


def _attention_on_cpus(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    heads = [tokens.swapaxes(1, 2) for tokens in (query, key, value)]
    scores = jnp.matmul(heads[0], heads[1].swapaxes(2, 3), preferred_element_type=jnp.float32)
    scores *= query.shape[-1] ** -0.5
    powers = jnp.exp(scores - scores.max(axis=-1, keepdims=True))
    summed = jnp.matmul(powers.astype(value.dtype), heads[2], preferred_element_type=jnp.float32)
    return (summed / powers.sum(axis=-1, keepdims=True)).astype(value.dtype).swapaxes(1, 2)


def rms_norm(
    weights: Weights, name: str, tokens: Float[Array, "*batch width"], epsilon: float
) -> Float[Array, "*batch width"]:
    """Returns the last axis brought to a mean square of 1, then scaled."""
    values = tokens.astype(jnp.float32)
    normed = values * jax.lax.rsqrt(_last_mean(values * values) + epsilon)
    return (normed * weights[f"{name}/scale"].astype(jnp.float32)).astype(tokens.dtype)


def dense(weights: Weights, name: str, tokens: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """Returns the product with a kernel [inputs, outputs], and the bias added if there is one."""
    product = tokens @ weights[f"{name}/kernel"]
    return product + weights[f"{name}/bias"] if f"{name}/bias" in weights else product


def mlp(
    weights: Weights, name: str, tokens: Float[Array, "*batch inputs"], activation: str
) -> Float[Array, "*batch outputs"]:
    """Returns what two dense layers with a GELU of `GELUS` between them give."""
    hidden = GELUS[activation](dense(weights, f"{name}/Dense_0", tokens))
    return dense(weights, f"{name}/Dense_1", hidden)


def gated_mlp(
    weights: Weights,
    name: str,
    tokens: Float[Array, "*batch inputs"],
    norm: Callable[[jax.Array], jax.Array] | None = None,
) -> Float[Array, "*batch outputs"]:
    """Returns what two dense layers give, with the first one's output times the SiLU of a third's (SwiGLU).

    A norm, if there is one, comes before the last layer (EVA-02).
    """
    hidden = dense(weights, f"{name}/Dense_0", tokens) * jax.nn.silu(dense(weights, f"{name}/Gate", tokens))
    return dense(weights, f"{name}/Dense_1", norm(hidden) if norm else hidden)


def images_at_a_time(num_tokens: int) -> int:
    """Returns the number of images for `in_parts` when each is this many tokens: a power of two, as batches are."""
    return 1 << max(1, _TOKENS_AT_A_TIME // num_tokens).bit_length() - 1


def in_parts(
    network: Callable[[Float[Array, "part h w 3"]], Float[Array, "part width"]],
    images: Float[Array, "n h w 3"],
    size: int,
) -> Float[Array, "n width"]:
    """Returns the network's output; CPUs process `size` images at a time.

    That keeps activations in the cache and small enough for the C library to reuse their memory from batch to batch;
    larger pieces return to the system, which clears every page before it gives them out again.
    """
    num_parts, num_rest = divmod(len(images), size)

    def parts_in_turn(images: jax.Array) -> jax.Array:
        parts = images[: num_parts * size].reshape(num_parts, size, *images.shape[1:])
        found = jax.lax.map(network, parts)
        found = found.reshape(-1, found.shape[-1])
        return jnp.concatenate([found, network(images[-num_rest:])]) if num_rest else found

    if num_parts < 2:
        return network(images)
    return jax.lax.platform_dependent(images, cpu=parts_in_turn, default=network)
