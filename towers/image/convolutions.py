"""The convolutions that several families compute, in the form that is fast on each device.

A depthwise layer is on CPUs k * k shifted multiply-adds, which XLA fuses into one loop over the output: its grouped
convolution takes 28 to 40 times as long (7x7, batches of 8, 2 cores: 107 ms against 2.7 at 56 x 56 x 96, 17.5 against
0.6 at 7 x 7 x 768). Slower, too, were 7 sums of a row each at 14 x 14 (1.8 times), a loop over the output's rows (2.6
to 3.7 times), over the kernel's rows (5 to 8) or over pictures (1.8 to 2.2), batch next to channels in memory (1.1 to
3.7), and one banded matrix a channel (3 to 5); padded rows laid end to end took the same time.
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

    Padded with zeros as TensorFlow's SAME is, which for a stride of 1 is torch's k // 2 on each side. Sums are float32
    also where features are bfloat16: 49 roundings would show. On accelerators XLA's grouped convolution, rounded once
    more before the bias: ConvNeXt-B with 49 shifted multiply-adds was not compiled for a GPU within minutes, and with
    EfficientNet-Lite0's 9 or 25 that tower ran at 28,457 pictures a second instead of 36,462, in one run on an H200.
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

    Padded as `depthwise`. On CPUs shifted multiply-adds, too: 2.4 ms instead of 10 with XLA's convolution and 4.8 with
    one product of gathered columns (3x3, stride 2, 8 x 224 x 224 to 32 channels, 2 cores).
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
    """Returns XLA's own convolution; in groups of the features' channels where the kernel has fewer inputs."""
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
    """Yields each row and column of a kernel, with what it is multiplied by: [n, rows, columns, width]."""
    rows, columns = (-(-length // stride) for length in features.shape[1:3])
    padding = [_same_padding(length, size, stride) for length in features.shape[1:3]]
    padded = jnp.pad(features, ((0, 0), *padding, (0, 0)))
    for row, column in itertools.product(range(size), repeat=2):
        # The last row and column that a shifted picture needs, so that a stride leaves rows x columns of them.
        bottom, right = row + (rows - 1) * stride + 1, column + (columns - 1) * stride + 1
        yield row, column, padded[:, row:bottom:stride, column:right:stride]


def _same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Returns the rows of zeros before and after; TensorFlow puts the odd one after."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2
