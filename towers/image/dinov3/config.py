"""The configuration of a Vision Transformer of DINOv3."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from lit_precompute.towers.family import TowerConfig
from lit_precompute.towers.image.vit.config import CLASS_TOKEN_AND_AVERAGE

Pooling = Literal["class_token", "average", "class_token+average"]
POOLINGS: tuple[str, ...] = get_args(Pooling)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DINOv3Config(TowerConfig):
    """A Vision Transformer of DINOv3.

    Attributes:
      patch_size: side of a patch in pixels; pixels beyond the last whole patch are ignored.
      width: length of a token.
      depth: number of blocks.
      mlp_width: hidden width of a block's second half.
      num_heads: attention heads; `width` is a multiple of four times it.
      pooling: what the embedding is, after the last norm: "class_token"; "average" of the patches' tokens;
        "class_token+average", both joined, twice as long.
      num_registers: tokens between the class token and the patches whose output is ignored.
      gated_mlp: whether the MLP has a gate (SwiGLU) in place of a GELU.
      query_bias: whether queries have a bias.
      key_bias: the same for keys; the published models have none.
      value_bias: the same for values.
      rope_base: the periods of the rotary positions are its powers with exponents from 0 to just below 1, where an
        image's side is 2 long.
      norm_epsilon: of every LayerNorm.
    """

    patch_size: int = 16
    width: int
    depth: int
    mlp_width: int
    num_heads: int
    pooling: str = "class_token"
    num_registers: int = 4
    gated_mlp: bool = False
    query_bias: bool = True
    key_bias: bool = False
    value_bias: bool = True
    rope_base: float = 100.0
    norm_epsilon: float = 1e-5

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ValueError(f"DINOv3: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}")
        if self.width % (4 * self.num_heads):
            raise ValueError(
                f"DINOv3: width must be a multiple of 4 * num_heads, since a quarter of each head turns by sines of "
                f"rows and another by sines of columns, got {self.width} and {self.num_heads}"
            )
        if self.rope_base <= 0:
            raise ValueError(f"DINOv3: rope_base must be > 0, got {self.rope_base}")
        if self.resolution < self.patch_size:
            raise ValueError(f"DINOv3: resolution must be >= patch_size {self.patch_size}, got {self.resolution}")

    @property
    def output_width(self) -> int:
        return 2 * self.width if self.pooling == CLASS_TOKEN_AND_AVERAGE else self.width

    @property
    def head_width(self) -> int:
        """Length of one head's part of a token."""
        return self.width // self.num_heads
