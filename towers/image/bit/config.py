"""The configuration of a BiT and its parameters: big_vision's names, 1x1 kernels as matrices."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lit_precompute.towers.family import Shapes, TowerConfig

NUM_GROUPS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiTConfig(TowerConfig):
    """A BiT.

    Attributes:
      depths: units of each block.
      width: channels after the root, 64 times the published factor; block b (from 0) has 4 * 2**b times as many.
      weight_epsilon: added to a kernel's variance when it is standardised: 1e-10 in the authors' code, 1e-8 in timm's
        and Hugging Face's.
    """

    depths: tuple[int, ...]
    width: int
    pooling: str = "average"
    weight_epsilon: float = 1e-10

    def __post_init__(self):
        super().__post_init__()
        if self.width < 1 or self.width % NUM_GROUPS:
            raise ValueError(
                f"BiT: width must be a multiple of {NUM_GROUPS}, the groups of its norms, got {self.width}"
            )
        if not self.depths or min(self.depths) < 1:
            raise ValueError(f"BiT: each block needs a unit or more, got depths {self.depths}")

    @property
    def output_width(self) -> int:
        return 4 * self.width * 2 ** (len(self.depths) - 1)


@dataclasses.dataclass(frozen=True)
class Unit:
    """A bottleneck: `block` and `row` count from 0; its inner layers are `middle_width` wide."""

    block: int
    row: int
    input_width: int
    middle_width: int

    @property
    def name(self) -> str:
        return f"block{self.block + 1}/unit{self.row + 1:02d}"

    @property
    def output_width(self) -> int:
        return 4 * self.middle_width

    @property
    def stride(self) -> int:
        return 2 if self.row == 0 and self.block > 0 else 1

    @property
    def has_projection(self) -> bool:
        return self.row == 0


def units(config: BiTConfig) -> Iterator[Unit]:
    """Yields the units in the order in which they are computed."""
    width = config.width
    for block, depth in enumerate(config.depths):
        for row in range(depth):
            unit = Unit(block, row, width, config.width * 2**block)
            yield unit
            width = unit.output_width


def parameter_shapes(config: BiTConfig) -> Shapes:
    """Returns the shapes by name: "block1/unit01/conv2/kernel" and so on.

    Kernels: [7, 7, 3, width] for the root, [3, 3, width, width] for the middle of a unit, [inputs, outputs] for the 1x1
    layers.
    """
    shapes: Shapes = {"root_block/conv_root/kernel": (7, 7, 3, config.width)}
    for unit in units(config):
        middle = unit.middle_width
        kernels = {
            "conv1": (unit.input_width, middle),
            "conv2": (3, 3, middle, middle),
            "conv3": (middle, unit.output_width),
        }
        if unit.has_projection:
            kernels["conv_proj"] = (unit.input_width, unit.output_width)
        shapes |= {f"{unit.name}/{layer}/kernel": shape for layer, shape in kernels.items()}
        for number, width in enumerate((unit.input_width, middle, middle), 1):
            shapes |= _norm(f"{unit.name}/gn{number}", width)
    return shapes | _norm("norm-pre-head", config.output_width)


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}
