"""What several families are made of: layers as pure functions of a flat dict of weights.

Promises: each layer computes in the type of its inputs, but for a norm's statistics, which are float32 always; weights
come in that type, under the names that big_vision gives a layer's parts (kernel, bias, scale).

Not here: what only one family has.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Weights = Mapping[str, Float[Array, "..."]]

# "tanh" is JAX's form of GELU, "exact" torch's, "quick" that of CLIP's first models.
GELUS = {
    "tanh": lambda hidden: jax.nn.gelu(hidden, approximate=True),
    # jax.nn.gelu's goes by erfc, which takes longer: ConvNeXt-T embeds 31 pictures a second instead of 33.
    "exact": lambda hidden: hidden * (1 + jax.lax.erf(hidden * math.sqrt(0.5))) / 2,
    "quick": lambda hidden: hidden * jax.nn.sigmoid(1.702 * hidden),
}


_TOKENS_AT_A_TIME = 1024


def patches(
    weights: Weights, name: str, features: Float[Array, "n h w inputs"]
) -> Float[Array, "n rows columns outputs"]:
    """Returns h // k rows and w // k columns of patches, for a kernel [k, k, inputs, outputs].

    A convolution whose stride is its kernel's size is a matrix product; rows and columns beyond the last whole patch
    are not seen.
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

    On CPUs a product with a column, because XLA's sums over the last axis are slow there: ConvNeXt-T at 224 pixels,
    batches of 8, 2 cores: 33 pictures a second, and 20 with `mean`.
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
    """Returns of each head the values, weighted by the softmax of query times key.

    On CPUs with the heads in front, and divided by the softmax's sum after the second product, when there is less to
    divide: 8.8 ms instead of 20 with XLA's own form for ViT-B/16's 8 x 197 tokens, 2 cores. On GPUs by cuDNN's fused
    kernel where it can: ViT-B/16 in bfloat16 at 1.3 times the speed, batches of 256 on an H200.
    """
    forms = {"cpu": _attention_on_cpus, "default": jax.nn.dot_product_attention}
    if _cudnn_has_attention(query):
        forms["cuda"] = functools.partial(jax.nn.dot_product_attention, implementation="cudnn")
    return jax.lax.platform_dependent(query, key, value, **forms)


def _cudnn_has_attention(query: jax.Array) -> bool:
    """Whether this process's GPU (from compute capability 8.0 on) has a fused kernel for these heads and their type."""
    capability = getattr(jax.devices()[0], "compute_capability", "")  # "9.0"; "gfx942" of AMD's, none of other devices
    is_new_enough = capability.replace(".", "").isdigit() and float(capability) >= 8
    return is_new_enough and query.dtype.itemsize == 2 and query.shape[-1] <= 128 and query.shape[-1] % 8 == 0


def _attention_on_cpus(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    heads = [tokens.swapaxes(1, 2) for tokens in (query, key, value)]
    scores = jnp.matmul(heads[0], heads[1].swapaxes(2, 3), preferred_element_type=jnp.float32)
    scores *= query.shape[-1] ** -0.5
    powers = jnp.exp(scores - scores.max(axis=-1, keepdims=True))
    summed = jnp.matmul(powers.astype(value.dtype), heads[2], preferred_element_type=jnp.float32)
    return (summed / powers.sum(axis=-1, keepdims=True)).astype(value.dtype).swapaxes(1, 2)


def dense(weights: Weights, name: str, tokens: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """Returns the product with a kernel [inputs, outputs], and the bias added."""
    return tokens @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def mlp(
    weights: Weights, name: str, tokens: Float[Array, "*batch inputs"], activation: str
) -> Float[Array, "*batch outputs"]:
    """Returns what two dense layers with a GELU of `GELUS` between them give."""
    hidden = GELUS[activation](dense(weights, f"{name}/Dense_0", tokens))
    return dense(weights, f"{name}/Dense_1", hidden)


def pictures_at_a_time(num_tokens: int) -> int:
    """Returns how many pictures `in_parts` takes where each is this many tokens: a power of two, as batches are."""
    return 1 << max(1, _TOKENS_AT_A_TIME // num_tokens).bit_length() - 1


def in_parts(
    network: Callable[[Float[Array, "part h w 3"]], Float[Array, "part width"]],
    images: Float[Array, "n h w 3"],
    size: int,
) -> Float[Array, "n width"]:
    """Returns what a network gives; on CPUs of `size` pictures at a time.

    So what passes between layers stays in the cache, and takes little enough memory that the C library keeps it between
    batches, where larger pieces go back to the system, which clears them page by page for the next. At 224 pixels on 2
    cores, in pictures a second: EfficientNet-Lite0 126 two at a time, 95 where all 8 of a batch go through each layer
    together; ViT-B/16 5.9 and 5.7 of 8 pictures, 5.7 and 5.0 of 32; Mixer-B/16 7.9 and 7.6; ConvNeXt-B 5.4 and 5.0.
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
