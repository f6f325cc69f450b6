"""The configuration of an AIMv2 model."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from lit_precompute.towers.family import TowerConfig

Pooling = Literal["average", "map", "projection"]
POOLINGS: tuple[str, ...] = get_args(Pooling)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AIMv2Config(TowerConfig):
    """An AIMv2 model.

    Attributes:
      patch_size: side of a patch in pixels; pixels beyond the last whole patch are ignored.
      width: length of a token.
      depth: number of blocks.
      mlp_width: hidden width of a block's gated MLP.
      num_heads: attention heads; `width` is a multiple of it.
      pooling: what the embedding is, after the last norm: "average" of the patches' tokens; "map", the head's attention
        with a learnt query; "projection", a linear layer on what the head gives.
      positions: "learned"; or "sine", computed for any grid (the "native" models).
      norm_epsilon: of every RMS norm.
      head: whether the model has an attention-pooling head.
      projection_width: length of the embedding where pooling is "projection"; 0 for models without one.
    """

    patch_size: int
    width: int
    depth: int
    mlp_width: int
    num_heads: int
    pooling: str = "average"
    positions: Literal["learned", "sine"] = "learned"
    norm_epsilon: float = 1e-5
    head: bool = False
    projection_width: int = 0

    def __post_init__(self):
        super().__post_init__()
        if self.pooling not in POOLINGS:
            raise ValueError(f"AIMv2: pooling must be one of {list(POOLINGS)}, got {self.pooling!r}")
        if self.pooling != "average" and not self.head:
            raise ValueError(f"AIMv2: pooling {self.pooling!r} needs a head; choose 'average'")
        if self.pooling == "projection" and self.projection_width < 1:
            raise ValueError("AIMv2: this tower has no projection; choose another pooling")
        if self.width % self.num_heads:
            raise ValueError(f"AIMv2: width must be a multiple of num_heads, got {self.width} and {self.num_heads}")
        if self.positions == "sine" and self.width % 4:
            raise ValueError(f"AIMv2: width must be a multiple of 4 for sines, got {self.width}")
        if self.resolution < self.patch_size:
            raise ValueError(f"AIMv2: resolution must be >= patch_size {self.patch_size}, got {self.resolution}")

    @property
    def output_width(self) -> int:
        return self.projection_width if self.pooling == "projection" else self.width

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.resolution // self.patch_size
