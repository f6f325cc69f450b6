"""The configuration of a Mixer and its parameters."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from lit_precompute.towers.family import Shapes, TowerConfig

RESOLUTION = 224
# name: (width, depth, hidden width of token mixing, of channel mixing); the paper's table 1
SIZES = {
    "s": (512, 8, 256, 2048),
    "b": (768, 12, 384, 3072),
    "l": (1024, 24, 512, 4096),
    "h": (1280, 32, 640, 5120),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixerConfig(TowerConfig):
    """An MLP-Mixer.

    Attributes:
      patch_size: side of a patch in pixels.
      grid: patches along a side that the weights are made for.
      width: length of a token.
      depth: number of blocks.
      token_width: hidden width of the layers over patches.
      channel_width: hidden width of the layers over channels.
      activation: GELU in its "tanh" form, or "exact".
    """

    patch_size: int
    grid: int
    width: int
    depth: int
    token_width: int
    channel_width: int
    pooling: str = "average"
    activation: Literal["tanh", "exact"] = "tanh"

    def __post_init__(self):
        super().__post_init__()
        if self.resolution != self.grid * self.patch_size:
            raise ValueError(
                f"Mixer: resolution must be {self.grid * self.patch_size}, got {self.resolution}: its layers over "
                f"patches have weights for {self.grid} x {self.grid} of them and cannot be resized; leave the "
                "resolution out, or choose a ViT, whose positions can"
            )

    @property
    def output_width(self) -> int:
        return self.width


def variant(size: str, patch_size: int, **fields: Any) -> MixerConfig:
    """Returns the configuration of a size of `SIZES` for images of 224 pixels."""
    width, depth, token_width, channel_width = SIZES[size]
    return MixerConfig(
        resolution=RESOLUTION,
        patch_size=patch_size,
        grid=RESOLUTION // patch_size,
        width=width,
        depth=depth,
        token_width=token_width,
        channel_width=channel_width,
        **fields,
    )


def parameter_shapes(config: MixerConfig) -> Shapes:
    """Returns the shapes by canonical name, which is big_vision's; dense kernels are [inputs, outputs]."""
    width, patch = config.width, config.patch_size
    shapes: Shapes = {"stem/kernel": (patch, patch, 3, width), "stem/bias": (width,)}
    mixing = {"token": (config.grid**2, config.token_width), "channel": (width, config.channel_width)}
    for number in range(config.depth):
        block = f"MixerBlock_{number}"
        for norm in ("LayerNorm_0", "LayerNorm_1"):
            shapes |= {f"{block}/{norm}/scale": (width,), f"{block}/{norm}/bias": (width,)}
        for axis, (length, hidden) in mixing.items():
            layers = f"{block}/{axis}_mixing"
            shapes |= {f"{layers}/Dense_0/kernel": (length, hidden), f"{layers}/Dense_0/bias": (hidden,)}
            shapes |= {f"{layers}/Dense_1/kernel": (hidden, length), f"{layers}/Dense_1/bias": (length,)}
    return shapes | {"pre_head_layer_norm/scale": (width,), "pre_head_layer_norm/bias": (width,)}
