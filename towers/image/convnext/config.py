"""The configuration of a ConvNeXt and its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal, get_args

from lit_precompute.towers.family import Shapes, TowerConfig

Pooling = Literal["average", "average_unnormed"]
POOLINGS: tuple[str, ...] = get_args(Pooling)
KERNEL_SIZE = 7
STEM_SIZE = 4
EXPANSION = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvNeXtConfig(TowerConfig):
    """A ConvNeXt, or ConvNeXt V2.

    Attributes:
      widths: channels of each stage.
      depths: blocks of each stage.
      pooling: "average" is the mean over all positions after the last stage, normed; "average_unnormed" omits
        the norm, which V2's self-supervised files lack.
      layer_scale: a factor for each channel after a block (V1).
      response_norm: global response normalisation between a block's two layers (V2).
      last_epsilon: of the embedding's LayerNorm; every other one has 1e-6. Hugging Face's models have 1e-12.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    pooling: str = "average"
    layer_scale: bool = True
    response_norm: bool = False
    last_epsilon: float = 1e-6

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ValueError(f"ConvNeXt: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}")
        if not self.widths or len(self.widths) != len(self.depths):
            raise ValueError(f"ConvNeXt: every stage needs a width and a depth, got {self.widths} and {self.depths}")
        smallest = STEM_SIZE * 2 ** (len(self.widths) - 1)
        if self.resolution < smallest:
            raise ValueError(f"ConvNeXt: resolution must be >= {smallest}, got {self.resolution}")

    @property
    def output_width(self) -> int:
        return self.widths[-1]

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yields (stage, block) of every block."""
        for stage, depth in enumerate(self.depths):
            for block in range(depth):
                yield stage, block


def block_name(stage: int, block: int) -> str:
    """Returns the prefix of a block's parameters."""
    return f"stage_{stage}/block_{block}"


def parameter_shapes(config: ConvNeXtConfig) -> Shapes:
    """Returns the shapes by canonical name: "stage_2/block_3/depthwise/kernel" and so on.

    Kernels: [4, 4, 3, width] for the stem, [2, 2, inputs, outputs] between stages, [7, 7, width] for depthwise layers,
    [inputs, outputs] for the 1x1 layers.
    """
    first = config.widths[0]
    shapes = _layer("stem", (STEM_SIZE, STEM_SIZE, 3, first)) | _norm("stem_norm", first)
    for stage in range(1, len(config.widths)):
        inputs, outputs = config.widths[stage - 1 : stage + 1]
        shapes |= _norm(f"stage_{stage}/downsample_norm", inputs)
        shapes |= _layer(f"stage_{stage}/downsample", (2, 2, inputs, outputs))
    for stage, block in config.blocks():
        name, width = block_name(stage, block), config.widths[stage]
        shapes |= _layer(f"{name}/depthwise", (KERNEL_SIZE, KERNEL_SIZE, width)) | _norm(f"{name}/norm", width)
        shapes |= _layer(f"{name}/expand", (width, EXPANSION * width))
        if config.response_norm:
            shapes |= _norm(f"{name}/response_norm", EXPANSION * width)
        shapes |= _layer(f"{name}/project", (EXPANSION * width, width))
        if config.layer_scale:
            shapes[f"{name}/layer_scale"] = (width,)
    return shapes | (_norm("norm", config.output_width) if config.pooling == "average" else {})


def _layer(name: str, kernel: tuple[int, ...]) -> Shapes:
    return {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}
