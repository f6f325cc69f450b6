"""What several families are made of: layers as pure functions of a flat dict of weights.

Promises: each layer computes in the type of its inputs, but for a norm's statistics, which are float32 always; weights
come in that type, under the names that big_vision gives a layer's parts (kernel, bias, scale).

Not here: what only one family has.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

Weights = Mapping[str, jax.Array]

# Where big_vision's files keep the parameters when they hold more than them, outermost first: optimiser state of two
# kinds around them, or two towers.
BIG_VISION_ROOTS = ("params/", "opt/target/", "img/", "image/")

# "tanh" is JAX's form of GELU, "exact" torch's, "quick" that of CLIP's first models.
GELUS = {
    "tanh": lambda hidden: jax.nn.gelu(hidden, approximate=True),
    "exact": lambda hidden: jax.nn.gelu(hidden, approximate=False),
    "quick": lambda hidden: hidden * jax.nn.sigmoid(1.702 * hidden),
}


def embed_patches(weights: Weights, name: str, images: jax.Array, grid: int) -> jax.Array:
    """Returns tokens [n, grid * grid, width] of images [n, h, w, 3]; pixels beyond the last whole patch are not seen.

    The kernel is [patch, patch, 3, width]. A matrix product, which a convolution without overlap is.
    """
    kernel = weights[f"{name}/kernel"]
    patch, _, _, width = kernel.shape
    images = images[:, : grid * patch, : grid * patch]
    pieces = images.reshape(-1, grid, patch, grid, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    tokens = pieces.reshape(-1, grid * grid, patch * patch * 3) @ kernel.reshape(-1, width)
    return tokens + weights[f"{name}/bias"] if f"{name}/bias" in weights else tokens


def layer_norm(weights: Weights, name: str, tokens: jax.Array, epsilon: float) -> jax.Array:
    """Returns [..., width]: the last axis brought to mean 0 and deviation 1, then scaled and shifted."""
    values = tokens.astype(jnp.float32)  # the statistics need more digits than bfloat16 has
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = jnp.mean(centred * centred, axis=-1, keepdims=True)
    normed = centred * jax.lax.rsqrt(variance + epsilon)
    return (normed * weights[f"{name}/scale"] + weights[f"{name}/bias"]).astype(tokens.dtype)


def dense(weights: Weights, name: str, tokens: jax.Array) -> jax.Array:
    """Returns [..., outputs] of [..., inputs]; the kernel is [inputs, outputs]."""
    return tokens @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def mlp(weights: Weights, name: str, tokens: jax.Array, activation: str) -> jax.Array:
    """Returns two dense layers with a GELU of `GELUS` between them: [..., outputs] of [..., inputs]."""
    hidden = GELUS[activation](dense(weights, f"{name}/Dense_0", tokens))
    return dense(weights, f"{name}/Dense_1", hidden)
