"""The function that a BiT is: from images to pre-logits.

How it is computed: kernels are standardised inside the compiled function, in float32; 1x1 layers are matrix products;
norms compute the mean first and the variance around it in a second pass, because a difference of mean squares loses
digits where the mean is large. The max-pool is a maximum of nine shifted arrays, which is faster on CPUs than XLA's
window; wider kernels are left to XLA (docs/benchmarks.md).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from lit_precompute.towers.family import Parameters
from lit_precompute.towers.image.bit.config import NUM_GROUPS, BiTConfig, Unit, units

_NORM_EPSILON = 1e-5


def apply(
    config: BiTConfig, parameters: Parameters, images: Float32[Array, "n h w 3"]
) -> Float32[Array, "n {config.output_width}"]:
    """Returns embeddings of images in the tower's value range."""
    kernel = functools.partial(_kernel, config, parameters)
    features = _convolution(images.astype(config.compute_type), kernel("root_block/conv_root"), stride=2)
    features = _max_pool(features)
    for unit in units(config):
        features = _unit(config, parameters, unit, features)
    features = _norm_relu(parameters, "norm-pre-head", features)
    return jnp.mean(features, axis=(1, 2), dtype=jnp.float32)


def _unit(config: BiTConfig, parameters: Parameters, unit: Unit, features: jax.Array) -> jax.Array:
    kernel = functools.partial(_kernel, config, parameters)
    norm_relu = functools.partial(_norm_relu, parameters)
    hidden = norm_relu(f"{unit.name}/gn1", features)
    if unit.has_projection:
        # Not a product with a strided slice: XLA (of JAX 0.11.2) aborts the process when it compiles one for a GPU.
        features = _convolution(hidden, kernel(f"{unit.name}/conv_proj")[None, None], stride=unit.stride)
    hidden = hidden @ kernel(f"{unit.name}/conv1")
    hidden = norm_relu(f"{unit.name}/gn2", hidden)
    hidden = _convolution(hidden, kernel(f"{unit.name}/conv2"), stride=unit.stride)
    hidden = norm_relu(f"{unit.name}/gn3", hidden)
    return features + hidden @ kernel(f"{unit.name}/conv3")


def _kernel(config: BiTConfig, parameters: Parameters, layer: str) -> jax.Array:
    """Returns a kernel with mean 0 and variance 1 over the inputs of each output."""
    values = parameters[f"{layer}/kernel"]
    inputs = tuple(range(values.ndim - 1))
    centred = values - values.mean(axis=inputs, keepdims=True)
    variance = jnp.mean(centred * centred, axis=inputs, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + config.weight_epsilon)).astype(config.compute_type)


def _norm_relu(parameters: Parameters, name: str, features: jax.Array) -> jax.Array:
    """Returns group norm, then ReLU; statistics over the pixels and the channels of a group, in float32."""
    values = features.astype(jnp.float32)
    mean = _group_mean(values)
    centred = values - mean
    variance = _group_mean(centred * centred)
    scale = jax.lax.rsqrt(variance + _NORM_EPSILON) * parameters[f"{name}/scale"]
    # As one multiplication and one addition of `values`, so that XLA need not keep `centred` between the passes.
    shift = parameters[f"{name}/bias"] - mean * scale
    return jax.nn.relu(values * scale + shift).astype(features.dtype)


def _group_mean(values: jax.Array) -> jax.Array:
    """Returns [n, 1, 1, channels]: the mean over the pixels and over the group that a channel belongs to."""
    count, channels = values.shape[0], values.shape[-1]
    groups = values.mean(axis=(1, 2)).reshape(count, NUM_GROUPS, -1).mean(axis=2)
    return jnp.repeat(groups, channels // NUM_GROUPS, axis=1)[:, None, None]


def _convolution(features: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    """Returns a convolution padded equally on both sides; with a stride, TensorFlow's SAME would not be."""
    around = kernel.shape[0] // 2
    padding = [(around, around), (around, around)]
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(features, kernel, (stride, stride), padding, dimension_numbers=dimensions)


def _max_pool(features: jax.Array) -> jax.Array:
    """Returns the maximum of 3 x 3 pixels at every second row and column.

    The border is zeros, as in the authors' code, not minus infinity as in torch's pooling: negative values at the
    border become zero.
    """
    rows, columns = ((length - 1) // 2 + 1 for length in features.shape[1:3])
    padded = jnp.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [
        padded[:, row : row + 2 * rows - 1 : 2, column : column + 2 * columns - 1 : 2]
        for row in range(3)
        for column in range(3)
    ]
    return functools.reduce(jnp.maximum, shifted)
