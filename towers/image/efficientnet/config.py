"""The configuration of an EfficientNet-Lite and its parameters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from lit_precompute.towers.family import Shapes, TowerConfig


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
      stem_width: channels after the first convolution.
      head_width: channels after the last one: the embedding's width.
    """

    stages: tuple[Stage, ...]
    stem_width: int = 32
    head_width: int = 1280
    pooling: str = "average"

    @property
    def output_width(self) -> int:
        return self.head_width


@dataclasses.dataclass(frozen=True)
class Block:
    """One block, its place in the network, and its input channels."""

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
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
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


def blocks(config: EfficientNetConfig) -> Iterator[Block]:
    """Yields all blocks in order."""
    number, width = 0, config.stem_width
    for stage_number, stage in enumerate(config.stages):
        for row in range(stage.num_blocks):
            yield Block(f"block_{number}", stage, stage_number, row, width)
            number, width = number + 1, stage.width


def parameter_shapes(config: EfficientNetConfig) -> Shapes:
    """Returns the shapes by canonical name: "block_3/depthwise/kernel" and so on.

    Kernels: [3, 3, 3, width] for the stem, [k, k, width] for depthwise layers, [inputs, outputs] for the 1x1 layers.
    """
    kernels: Shapes = {"stem": (3, 3, 3, config.stem_width)}
    for block in blocks(config):
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
