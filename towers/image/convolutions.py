"""Convolutions that several families share, in the form that is fast on each device.

On CPUs they are shifted multiply-adds, which XLA fuses into one loop over the output; its own convolutions are many
times slower there for kernels of few inputs. docs/benchmarks.md holds the figures, also of the forms that were slower.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def depthwise(
    features: Float[Array, "n h w width"],
    kernel: Float[Array, "k k width"],
    bias: Float[Array, "width"],
    *,
    stride: int = 1,
) -> Float[Array, "n rows columns width"]:
    """Returns ceil(h / stride) rows and ceil(w / stride) columns, each channel convolved with a kernel of its own.

    Padded with zeros like TensorFlow's SAME, which for a stride of 1 is torch's k // 2 on each side. On CPUs sums are
    float32 even where features are bfloat16: 49 roundings would show. Accelerators use XLA's grouped convolution, which
    rounds once more before the bias; compiling 49 shifted multiply-adds for a GPU takes minutes.
    """
    return jax.lax.platform_dependent(
        features,
        kernel,
        bias,
        cpu=lambda features, kernel, bias: _depthwise_on_cpus(features, kernel, bias, stride),
        default=lambda features, kernel, bias: _convolved(features, kernel[:, :, None], bias, stride),
    )


def _depthwise_on_cpus(features: jax.Array, kernel: jax.Array, bias: jax.Array, stride: int) -> jax.Array:
    kernel, total = kernel.astype(jnp.float32), bias.astype(jnp.float32)
    for row, column, shifted in _shifted(features, kernel.shape[0], stride):
        total = total + shifted.astype(jnp.float32) * kernel[row, column]
    return total.astype(features.dtype)


def of_few_channels(
    images: Float[Array, "n h w channels"],
    kernel: Float[Array, "k k channels outputs"],
    bias: Float[Array, "outputs"],
    *,
    stride: int,
) -> Float[Array, "n rows columns outputs"]:
    """Returns ceil(h / stride) rows and ceil(w / stride) columns of a convolution's outputs.

    Padded like `depthwise`.
    """
    return jax.lax.platform_dependent(
        images,
        kernel,
        bias,
        cpu=lambda images, kernel, bias: _few_channels_on_cpus(images, kernel, bias, stride),
        default=lambda images, kernel, bias: _convolved(images, kernel, bias, stride),
    )


def _few_channels_on_cpus(images: jax.Array, kernel: jax.Array, bias: jax.Array, stride: int) -> jax.Array:
    kernel, total = kernel.astype(jnp.float32), bias.astype(jnp.float32)
    for row, column, shifted in _shifted(images, kernel.shape[0], stride):
        for channel in range(images.shape[-1]):
            total = total + shifted[..., channel : channel + 1].astype(jnp.float32) * kernel[row, column, channel]
    return total.astype(images.dtype)


def _convolved(features: jax.Array, kernel: jax.Array, bias: jax.Array, stride: int) -> jax.Array:
    """Returns XLA's own convolution; grouped where the kernel has fewer inputs than the features have channels."""
    found = jax.lax.conv_general_dilated(
        features,
        kernel,
        window_strides=(stride, stride),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=features.shape[-1] // kernel.shape[2],
    )
    return found + bias


def _shifted(features: jax.Array, size: int, stride: int) -> Iterator[tuple[int, int, jax.Array]]:
    """Yields each row and column of a kernel, with the features it multiplies: [n, rows, columns, width]."""
    rows, columns = (-(-length // stride) for length in features.shape[1:3])
    padding = [_same_padding(length, size, stride) for length in features.shape[1:3]]
    padded = jnp.pad(features, ((0, 0), *padding, (0, 0)))
    for row, column in itertools.product(range(size), repeat=2):
        # The last row and column that are needed, so that the stride leaves rows x columns of them.
        bottom, right = row + (rows - 1) * stride + 1, column + (columns - 1) * stride + 1
        yield row, column, padded[:, row:bottom:stride, column:right:stride]


def _same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Returns the number of zeros before and after; TensorFlow puts the odd one after."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2
